import { StacyError } from "@stacyvm/contract";
import { formatDuration } from "../lib/duration.ts";

interface Waiter {
  readonly attempt: () => Promise<boolean>;
  readonly giveBack: () => Promise<void>;
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

/** How often the head tries although nobody here freed anything: another server may have. Milliseconds. */
const retryIntervalMs = 1_000;

/** Spawns that wait for capacity, served first come, first served. */
export class SpawnQueue {
  readonly #waiters: Waiter[] = [];
  readonly #max: number;
  readonly #timeoutMs: number;
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

  get counters(): QueueCounters {
    return {
      depth: this.#waiters.length,
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
    return this.#waiters.length > 0;
  }

  /**
   * Resolves once the attempt has succeeded in its turn. Rejects with spawn_queue_full, spawn_queue_timeout, the
   * attempt's own error, or the signal's reason. An attempt that succeeds when its waiter has just left is given back.
   */
  async wait(attempt: () => Promise<boolean>, giveBack: () => Promise<void>, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#waiters.length >= this.#max) {
      throw new StacyError("spawn_queue_full", `resource limit exceeded: spawn queue full (${this.#max})`);
    }
    const startedAt = performance.now();
    this.#enqueued += 1;
    const turn = Promise.withResolvers<void>();
    const waiter: Waiter = { attempt, giveBack, resolve: turn.resolve, reject: turn.reject, done: false };
    this.#waiters.push(waiter);
    const leave = (error: unknown) => {
      this.#remove(waiter);
      turn.reject(error);
    };
    const onAbort = () => leave(signal.reason);
    const timer = setTimeout(() => {
      this.#timeouts += 1;
      const told = `spawn queue timeout after ${formatDuration(this.#timeoutMs)}`;
      leave(new StacyError("spawn_queue_timeout", `resource limit exceeded: ${told}`));
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

  /** Something was freed or a limit changed: the head tries again. No call is lost while a try is under way. */
  capacityChanged(): void {
    this.#again = true;
    if (!this.#pumping) void this.#pump();
  }

  async #pump(): Promise<void> {
    this.#pumping = true;
    clearTimeout(this.#retry);
    while (this.#again) {
      this.#again = false;
      const head = this.#waiters[0];
      if (head === undefined) break;
      try {
        if (await head.attempt()) {
          if (head.done) await head.giveBack();
          this.#remove(head);
          head.resolve();
          this.#again = true;
        }
      } catch (error) {
        this.#remove(head);
        head.reject(error);
        this.#again = true;
      }
    }
    this.#pumping = false;
    if (this.#waiters.length > 0) this.#retry = setTimeout(() => this.capacityChanged(), retryIntervalMs);
  }

  #remove(waiter: Waiter): void {
    const at = this.#waiters.indexOf(waiter);
    if (at >= 0) this.#waiters.splice(at, 1);
    waiter.done = true;
  }
}
