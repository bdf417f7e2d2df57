import { StacyError } from "@stacyvm/contract";
import { formatDuration } from "../lib/duration.ts";
import { limitDetails } from "../sandbox/limits.ts";

/** A place was taken; this owner has no more; nobody has. */
export type Attempt = "taken" | "owner_full" | "full";

export interface QueuedSpawn {
  /** Whose line it waits in; those of nobody are one owner together. */
  readonly owner: string;
  readonly attempt: () => Promise<Attempt>;
  /** Undoes an attempt that succeeded when its waiter had just left. */
  readonly giveBack: () => Promise<void>;
}

interface Waiter extends QueuedSpawn {
  /** Grows from one to the next. */
  readonly number: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  done: boolean;
}

export interface QueueCounters {
  readonly depth: number;
  readonly capacity: number;
  readonly enqueued: number;
  readonly dequeued: number;
  readonly timeouts: number;
  readonly waitMsTotal: number;
  readonly waitMsMax: number;
}

/** How often the heads try although nobody here freed anything: another server may have. Milliseconds. */
const retryIntervalMs = 1_000;

/**
 * Spawns that wait for capacity: a line for each owner, served first come, first served within a line, and the lines in
 * turn. A line whose owner is at its own cap holds up no other.
 */
export class SpawnQueue {
  /** In the order of their turns. None is empty. */
  readonly #lines = new Map<string, Waiter[]>();
  #max: number;
  #timeoutMs: number;
  #depth = 0;
  #pumping = false;
  #again = false;
  #retry: NodeJS.Timeout | undefined;
  #enqueued = 0;
  #dequeued = 0;
  #timeouts = 0;
  #waitMsTotal = 0;
  #waitMsMax = 0;

  constructor(options: { readonly max: number; readonly timeoutMs: number }) {
    this.#max = options.max;
    this.#timeoutMs = options.timeoutMs;
  }

  /** Other bounds from now on. Who waits keeps the timeout that counted on arrival. */
  configure(options: { readonly max: number; readonly timeoutMs: number }): void {
    this.#max = options.max;
    this.#timeoutMs = options.timeoutMs;
    this.capacityChanged();
  }

  get counters(): QueueCounters {
    return {
      depth: this.#depth,
      capacity: this.#max,
      enqueued: this.#enqueued,
      dequeued: this.#dequeued,
      timeouts: this.#timeouts,
      waitMsTotal: this.#waitMsTotal,
      waitMsMax: this.#waitMsMax,
    };
  }

  /** True where somebody waits already, so that a newcomer must not overtake. */
  get busy(): boolean {
    return this.#depth > 0;
  }

  /**
   * Resolves once the attempt has succeeded in its turn. Rejects with spawn_queue_full, spawn_queue_timeout, the
   * attempt's own error, or the signal's reason. While more wait than may, the last of the longest line is refused.
   */
  async wait(spawn: QueuedSpawn, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    // Newcomers are tried once before they are refused; so many at a time.
    if (this.#depth >= 2 * this.#max) throw this.#full();
    const startedAt = performance.now();
    this.#enqueued += 1;
    const turn = Promise.withResolvers<void>();
    const waiter: Waiter = {
      ...spawn,
      number: this.#enqueued,
      resolve: turn.resolve,
      reject: turn.reject,
      done: false,
    };
    this.#add(waiter);
    const leave = (error: unknown) => {
      this.#remove(waiter);
      turn.reject(error);
    };
    const onAbort = () => leave(signal.reason);
    const timer = setTimeout(() => {
      this.#timeouts += 1;
      leave(this.#late(Math.round(performance.now() - startedAt)));
    }, this.#timeoutMs);
    signal.addEventListener("abort", onAbort);
    this.capacityChanged();
    try {
      await turn.promise;
      this.#dequeued += 1;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      const waitedMs = performance.now() - startedAt;
      this.#waitMsTotal += waitedMs;
      this.#waitMsMax = Math.max(this.#waitMsMax, waitedMs);
      this.capacityChanged();
    }
  }

  /** Something was freed or a limit changed: the heads try again. No call is lost while a try is under way. */
  capacityChanged(): void {
    this.#again = true;
    if (!this.#pumping) void this.#pump();
  }

  async #pump(): Promise<void> {
    this.#pumping = true;
    clearTimeout(this.#retry);
    while (this.#again) {
      this.#again = false;
      await this.#round();
      // Whoever came meanwhile has a try first.
      if (!this.#again) this.#trim();
    }
    this.#pumping = false;
    if (this.#depth > 0) this.#retry = setTimeout(() => this.capacityChanged(), retryIntervalMs);
  }

  /** One try for the head of each line. */
  async #round(): Promise<void> {
    for (const owner of [...this.#lines.keys()]) {
      const head = this.#lines.get(owner)?.[0];
      if (head === undefined) continue;
      try {
        const outcome = await head.attempt();
        if (outcome === "full") return;
        if (outcome === "owner_full") continue;
        if (head.done) await head.giveBack();
        this.#remove(head);
        this.#toTheBack(owner);
        head.resolve();
      } catch (error) {
        this.#remove(head);
        head.reject(error);
      }
      this.#again = true;
    }
  }

  #trim(): void {
    while (this.#depth > this.#max) {
      let last: Waiter | undefined;
      let length = 0;
      for (const line of this.#lines.values()) {
        const end = line.at(-1);
        if (end === undefined || line.length < length) continue;
        if (line.length > length || end.number > (last?.number ?? 0)) last = end;
        length = line.length;
      }
      if (last === undefined) return;
      this.#remove(last);
      last.reject(this.#full());
    }
  }

  #add(waiter: Waiter): void {
    const line = this.#lines.get(waiter.owner);
    if (line === undefined) this.#lines.set(waiter.owner, [waiter]);
    else line.push(waiter);
    this.#depth += 1;
  }

  #remove(waiter: Waiter): void {
    waiter.done = true;
    const line = this.#lines.get(waiter.owner);
    const at = line?.indexOf(waiter) ?? -1;
    if (line === undefined || at < 0) return;
    line.splice(at, 1);
    this.#depth -= 1;
    if (line.length === 0) this.#lines.delete(waiter.owner);
  }

  #toTheBack(owner: string): void {
    const line = this.#lines.get(owner);
    if (line === undefined) return;
    this.#lines.delete(owner);
    this.#lines.set(owner, line);
  }

  #full(): StacyError {
    const details = { limit: "max_spawn_queue", value: this.#max, used: Math.min(this.#depth, this.#max) } as const;
    return new StacyError("spawn_queue_full", `resource limit exceeded: spawn queue full (${this.#max})`, {
      details: limitDetails({ ...details, unit: "spawns" }),
    });
  }

  #late(waitedMs: number): StacyError {
    const told = `spawn queue timeout after ${formatDuration(this.#timeoutMs)}`;
    const details = { limit: "spawn_queue_timeout", value: this.#timeoutMs, used: waitedMs } as const;
    return new StacyError("spawn_queue_timeout", `resource limit exceeded: ${told}`, {
      details: limitDetails({ ...details, unit: "ms" }),
    });
  }
}
