import type { Clock } from "./clock.ts";

interface Known<V> {
  readonly value: V;
  readonly atMs: number;
}

export interface RecentOptions {
  readonly clock: Clock;
  /** How long an answer counts without another look, milliseconds. */
  readonly forMs: number;
  /** Most answers that are remembered; the oldest go first. */
  readonly max: number;
}

/** Answers of a slow source, remembered for a moment. What is set or forgotten meanwhile outlives a look under way. */
export class Recent<V> {
  readonly #options: RecentOptions;
  readonly #known = new Map<string, Known<V>>();
  #changes = 0;

  constructor(options: RecentOptions) {
    this.#options = options;
  }

  /** What is remembered, where it still counts. */
  peek(key: string): { readonly value: V } | undefined {
    const known = this.#known.get(key);
    return known !== undefined && this.#options.clock.now() - known.atMs < this.#options.forMs ? known : undefined;
  }

  async get(key: string, look: () => Promise<V>): Promise<V> {
    const known = this.peek(key);
    if (known !== undefined) return known.value;
    // The time before the look: what changes meanwhile must not count for longer.
    const atMs = this.#options.clock.now();
    const changes = this.#changes;
    const value = await look();
    if (changes !== this.#changes) return this.peek(key)?.value ?? value;
    this.#keep(key, { value, atMs });
    return value;
  }

  /** Counts from now on, whatever a look under way will say. */
  set(key: string, value: V): void {
    this.#changes += 1;
    this.#keep(key, { value, atMs: this.#options.clock.now() });
  }

  /** Every answer is looked up again. */
  forget(): void {
    this.#changes += 1;
    this.#known.clear();
  }

  #keep(key: string, known: Known<V>): void {
    this.#known.delete(key);
    this.#known.set(key, known);
    if (this.#known.size > this.#options.max) this.#known.delete(this.#known.keys().next().value ?? "");
  }
}
