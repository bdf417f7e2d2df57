/** Walks bytes that come in parts, each of them valid until the next one is asked for. */
export class ByteCursor implements AsyncDisposable {
  readonly #parts: AsyncIterator<Buffer>;
  bytes: Buffer = Buffer.alloc(0);
  at = 0;

  constructor(parts: AsyncIterable<Buffer>) {
    this.#parts = parts[Symbol.asyncIterator]();
  }

  /** Bytes that can be walked without waiting. */
  get left(): number {
    return this.bytes.length - this.at;
  }

  /** Waits until this many bytes are left in one piece. False when the bytes have ended before. */
  async fill(count: number): Promise<boolean> {
    if (this.left >= count) return true;
    const held: Buffer[] = this.left === 0 ? [] : [Buffer.from(this.bytes.subarray(this.at))];
    for (let length = this.left; length < count; ) {
      const next = await this.#parts.next();
      if (next.done === true) {
        [this.bytes, this.at] = [Buffer.concat(held), 0];
        return false;
      }
      length += next.value.length;
      held.push(held.length === 0 && length >= count ? next.value : Buffer.from(next.value));
    }
    [this.bytes, this.at] = [held.length === 1 && held[0] !== undefined ? held[0] : Buffer.concat(held), 0];
    return true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.return?.();
  }
}
