import { constants, open } from "node:fs/promises";

/** Bytes of a file that are read at once. */
const chunkBytes = 256 * 1024;

/**
 * The bytes of a file in order. However the reading ends, the file is closed when it has: what is removed next, and the disk
 * it lies on, is held by nobody.
 */
export async function* fileBytes(
  path: string,
  { signal, flags = constants.O_RDONLY }: { readonly signal?: AbortSignal; readonly flags?: number } = {},
): AsyncGenerator<Buffer> {
  await using file = await open(path, flags);
  for (;;) {
    signal?.throwIfAborted();
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.allocUnsafe(chunkBytes) });
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}
