import { spawn } from "node:child_process";
import { once } from "node:events";
import { Readable } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { findProgram } from "../../lib/find-program.ts";

export type Compression = "none" | "gzip" | "zstd" | "xz";

/** By the first bytes; throws for a format that is known and not supported. */
export function detectCompression(head: Buffer): Compression {
  const hex = head.toString("hex", 0, 6);
  if (hex.startsWith("1f8b")) return "gzip";
  if (hex.startsWith("28b52ffd")) return "zstd";
  if (hex.startsWith("fd377a585a00")) return "xz";
  if (hex.startsWith("425a68")) throw new Error("bzip2 is not supported; compress with gzip, zstd or xz");
  return "none";
}

/** The plain bytes of a stream, whatever it is compressed with. Nothing is read ahead without bound. */
export async function* decompress(source: AsyncIterable<Buffer>, signal: AbortSignal): AsyncGenerator<Buffer> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    yield* plainBytes(iterator, signal);
  } finally {
    await iterator.return?.(); // Also where the format was refused before anything else read it.
  }
}

async function* plainBytes(iterator: AsyncIterator<Buffer>, signal: AbortSignal): AsyncGenerator<Buffer> {
  let head: Buffer = Buffer.alloc(0);
  while (head.length < 6) {
    const next = await iterator.next();
    if (next.done === true) break;
    head = Buffer.concat([head, next.value]);
  }
  const whole = (async function* () {
    yield head;
    for await (const chunk of { [Symbol.asyncIterator]: () => iterator }) yield chunk;
  })();
  const kind = detectCompression(head);
  if (kind === "none") return yield* whole;
  if (kind === "xz") return yield* throughXz(whole, signal);
  const input = Readable.from(whole, { objectMode: false });
  const decoder = kind === "gzip" ? createGunzip() : createZstdDecompress();
  input.on("error", (error) => decoder.destroy(error));
  try {
    yield* input.pipe(decoder) as AsyncIterable<Buffer>;
  } finally {
    input.destroy();
    decoder.destroy();
  }
}

/** Bytes of memory that xz may take; a larger dictionary is refused. */
const xzMemoryBytes = 256 * 1024 * 1024;

async function* throughXz(source: AsyncIterable<Buffer>, signal: AbortSignal): AsyncGenerator<Buffer> {
  const child = spawn(findProgram("xz"), ["--decompress", "--stdout", `--memlimit-decompress=${xzMemoryBytes}`], {
    stdio: ["pipe", "pipe", "ignore"],
    signal,
  });
  const ended = once(child, "close") as Promise<[number | null]>;
  ended.catch(() => {}); // Reported below, or by the reader's own failure.
  const input = Readable.from(source, { objectMode: false });
  input.on("error", () => child.kill("SIGKILL"));
  child.stdin.on("error", () => input.destroy()); // xz ended early; its exit status says why.
  input.pipe(child.stdin);
  try {
    yield* child.stdout as AsyncIterable<Buffer>;
    const [code] = await ended;
    if (code !== 0) throw new Error("the xz data is damaged, or needs more memory than allowed");
  } finally {
    input.destroy();
    child.kill("SIGKILL");
  }
}
