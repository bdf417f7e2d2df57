import { createHash, type Hash } from "node:crypto";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { finished } from "node:stream/promises";
import { imageBounds } from "../bounds.ts";
import type { Layer } from "../layered-image.ts";
import { decompress } from "./decompress.ts";
import { readTar } from "./read.ts";
import { HostileArchiveError, sanitiseEntry } from "./sanitise.ts";
import { encodeHeader, endOfArchive, padding } from "./write.ts";

/** What may still be spent over all layers of one image. */
export interface Budget {
  bytes: number;
  entries: number;
}

export const fullBudget = (unpackedBytes: number = imageBounds.unpackedBytes): Budget => ({
  bytes: unpackedBytes,
  entries: imageBounds.entries,
});

export class DigestMismatchError extends Error {
  override readonly name = "DigestMismatchError";
}

export interface NormalisedLayer {
  /** sha256 of the file written, in hex. */
  readonly hex: string;
  readonly sizeBytes: number;
  /** Device nodes left out. */
  readonly droppedDevices: number;
}

/**
 * Writes a layer anew as a plain tar that holds only harmless entries, so that what unpacks it never sees the original
 * bytes. Verifies the digests that the layer states. Throws HostileArchiveError, TarFormatError, TruncatedError or
 * DigestMismatchError.
 */
export async function normaliseLayer(
  layer: Layer,
  target: string,
  budget: Budget,
  signal: AbortSignal,
): Promise<NormalisedLayer> {
  const blob = createHash("sha256");
  const diff = createHash("sha256");
  const written = createHash("sha256");
  signal.throwIfAborted(); // A stream made with a signal that has gone off opens its file and never closes it.
  const file = createWriteStream(target, { flags: "wx", mode: 0o600, highWaterMark: 1024 * 1024, signal });
  const complete = finished(file);
  complete.catch(() => {}); // Awaited below; must not be unhandled while we are still reading.
  let sizeBytes = 0;
  let droppedDevices = 0;

  async function write(chunk: Buffer): Promise<void> {
    if (chunk.length === 0) return;
    written.update(chunk);
    sizeBytes += chunk.length;
    if (!file.write(chunk)) await Promise.race([once(file, "drain", { signal }), complete]);
  }

  try {
    const plain = counted(hashed(decompress(hashed(layer.open(), blob), signal), diff), budget);
    for await (const { header, body } of readTar(plain)) {
      signal.throwIfAborted();
      if (--budget.entries < 0) throw new HostileArchiveError(`it has more than ${imageBounds.entries} entries`);
      const verdict = sanitiseEntry(header);
      if (!verdict.keep) {
        if (verdict.reason === "device") droppedDevices++;
        continue;
      }
      await write(encodeHeader(verdict.header));
      for await (const chunk of body) await write(chunk);
      await write(padding(verdict.header.sizeBytes));
    }
    await write(endOfArchive());
    file.end();
    await complete;
  } finally {
    file.destroy();
    // `finished` is not yet closed, and the directory it lies in goes next.
    await new Promise<void>((resolve) => (file.closed ? resolve() : file.once("close", () => resolve())));
  }
  verify(layer.blobDigest, blob, "a layer");
  verify(layer.diffId, diff, "a layer's content");
  return { hex: written.digest("hex"), sizeBytes, droppedDevices };
}

async function* hashed(source: AsyncIterable<Buffer>, hash: Hash): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    hash.update(chunk);
    yield chunk;
  }
}

async function* counted(source: AsyncIterable<Buffer>, budget: Budget): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    budget.bytes -= chunk.length;
    if (budget.bytes < 0) throw new HostileArchiveError("its content is larger than the limit for one image");
    yield chunk;
  }
}

function verify(expected: string | undefined, hash: Hash, what: string): void {
  const found = `sha256:${hash.digest("hex")}`;
  if (expected !== undefined && expected !== found) {
    throw new DigestMismatchError(`${what} has the digest ${found}, not ${expected} as stated`);
  }
}
