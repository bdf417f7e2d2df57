/** Reads exact numbers of bytes from a stream of chunks of any size. */
export interface ByteReader {
  /** Exactly `length` bytes; undefined at a clean end of the stream; throws TruncatedError in between. */
  read(length: number): Promise<Buffer | undefined>;
  /** The next `length` bytes as they come. Must be consumed before the next read. */
  stream(length: number): AsyncGenerator<Buffer, void, void>;
  /** Reads to the end of the source and drops it. */
  drain(): Promise<void>;
  /** Lets go of the source, wherever the reading stands; what it holds open is closed. */
  close(): Promise<void>;
}

export class TruncatedError extends Error {
  override readonly name = "TruncatedError";
}

export function byteReader(source: AsyncIterable<Buffer>): ByteReader {
  const iterator = source[Symbol.asyncIterator]();
  let rest: Buffer = Buffer.alloc(0);

  async function more(): Promise<boolean> {
    for (;;) {
      const next = await iterator.next();
      if (next.done === true) return false;
      if (next.value.length > 0) {
        rest = rest.length === 0 ? next.value : Buffer.concat([rest, next.value]);
        return true;
      }
    }
  }

  return {
    async read(length) {
      while (rest.length < length) {
        if (await more()) continue;
        if (rest.length === 0) return undefined;
        throw new TruncatedError("the archive ends in the middle of an entry");
      }
      const taken = rest.subarray(0, length);
      rest = rest.subarray(length);
      return taken;
    },
    async *stream(length) {
      let left = length;
      while (left > 0) {
        if (rest.length === 0 && !(await more())) throw new TruncatedError("the archive ends in the middle of a file");
        const taken = rest.subarray(0, left);
        rest = rest.subarray(taken.length);
        left -= taken.length;
        yield taken;
      }
    },
    async drain() {
      do rest = Buffer.alloc(0);
      while (await more());
    },
    async close() {
      await iterator.return?.();
    },
  };
}
