/** Smallest piece of memory of a queue, bytes: many small parts share one. */
const pieceBytesMin = 4096;

/** Bytes that wait for their reader. They are copied in, so that nothing they came with is held, in pieces that parts share. */
export class ByteQueue {
  readonly #pieces: { readonly memory: Buffer; start: number; end: number }[] = [];

  get empty(): boolean {
    return this.#pieces.length === 0;
  }

  append(bytes: Buffer): void {
    const last = this.#pieces.at(-1);
    let taken = 0;
    if (last !== undefined) {
      taken = bytes.copy(last.memory, last.end);
      last.end += taken;
    }
    if (taken === bytes.length) return;
    const memory = Buffer.allocUnsafeSlow(Math.max(pieceBytesMin, bytes.length - taken));
    this.#pieces.push({ memory, start: 0, end: bytes.copy(memory, 0, taken) });
  }

  /** The next bytes, however many there are in one piece; undefined where none wait. */
  take(): Buffer | undefined {
    const first = this.#pieces.shift();
    if (first === undefined) return undefined;
    const bytes = first.memory.subarray(first.start, first.end);
    return bytes.length * 2 < first.memory.length ? Buffer.from(bytes) : bytes;
  }

  /** How many bytes were put into the target. */
  readInto(target: Uint8Array): number {
    let read = 0;
    for (let first = this.#pieces[0]; first !== undefined && read < target.length; first = this.#pieces[0]) {
      const copied = first.memory.copy(target, read, first.start, first.end);
      read += copied;
      first.start += copied;
      if (first.start === first.end) this.#pieces.shift();
    }
    return read;
  }

  clear(): void {
    this.#pieces.length = 0;
  }
}
