import { type Decision, decisionsMax } from "./egress.ts";

interface Reader {
  readonly waiting: Decision[];
  missed: number;
  wake: (() => void) | undefined;
}

/** The last decisions of each sandbox, in memory, and whoever follows them. */
export class DecisionLog {
  readonly #kept = new Map<string, { readonly decisions: Decision[]; readonly readers: Set<Reader> }>();

  /** Begins to keep what is added of a sandbox. */
  open(sandboxId: string): void {
    if (!this.#kept.has(sandboxId)) this.#kept.set(sandboxId, { decisions: [], readers: new Set() });
  }

  /** Of a sandbox that isn't kept it is dropped. */
  add(sandboxId: string, decision: Decision): void {
    const kept = this.#kept.get(sandboxId);
    if (kept === undefined) return;
    kept.decisions.push(decision);
    if (kept.decisions.length > decisionsMax) kept.decisions.shift();
    for (const reader of kept.readers) {
      reader.waiting.push(decision);
      if (reader.waiting.length > decisionsMax) {
        reader.waiting.shift();
        reader.missed += 1;
      }
      reader.wake?.();
    }
  }

  close(sandboxId: string): void {
    const kept = this.#kept.get(sandboxId);
    this.#kept.delete(sandboxId);
    for (const reader of kept?.readers ?? []) reader.wake?.();
  }

  last(sandboxId: string, limit: number): readonly Decision[] {
    return limit === 0 ? [] : (this.#kept.get(sandboxId)?.decisions.slice(-limit) ?? []);
  }

  async *follow(sandboxId: string, signal: AbortSignal, now: () => number): AsyncGenerator<Decision> {
    const kept = this.#kept.get(sandboxId);
    if (kept === undefined) return;
    const reader: Reader = { waiting: [], missed: 0, wake: undefined };
    const wake = (): void => reader.wake?.();
    kept.readers.add(reader);
    signal.addEventListener("abort", wake);
    try {
      while (!signal.aborted) {
        const next = reader.waiting.shift();
        if (reader.missed > 0) {
          yield { type: "missed", atMs: now(), count: reader.missed };
          reader.missed = 0;
        }
        if (next !== undefined) yield next;
        else if (this.#kept.get(sandboxId) !== kept) return;
        else
          await new Promise<void>((resolve) => {
            reader.wake = resolve;
          });
      }
    } finally {
      kept.readers.delete(reader);
      signal.removeEventListener("abort", wake);
    }
  }
}
