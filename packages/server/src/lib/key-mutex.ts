/** Runs work one at a time per key, in the order it came. Holds nothing for a key that nobody uses. */
export class KeyMutex {
  readonly #tails = new Map<string, Promise<unknown>>();

  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key);
    const mine = (async () => {
      // What came before may have failed; that was its caller's affair.
      await before?.catch(() => {});
      return await work();
    })();
    this.#tails.set(key, mine);
    try {
      return await mine;
    } finally {
      if (this.#tails.get(key) === mine) this.#tails.delete(key);
    }
  }

  /** Keys with work under way. */
  get size(): number {
    return this.#tails.size;
  }
}
