import { spawn } from "node:child_process";
import { createReadStream, createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { createGunzip, createZstdDecompress } from "node:zlib";

/** Writes the plain bytes of a compressed file. xz has no decoder in this runtime: the host's own program does it. */
export async function decompressTo(kind: string, source: string, target: string, signal: AbortSignal): Promise<void> {
  const out = createWriteStream(target, { mode: 0o600 });
  if (kind === "xz") {
    const child = spawn("xz", ["--decompress", "--stdout", "--", source], { stdio: ["ignore", "pipe", "ignore"] });
    const ended = new Promise<void>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (status) => (status === 0 ? resolve() : reject(new Error("xz could not read the file"))));
    });
    await Promise.all([pipeline(child.stdout, out, { signal }), ended]);
    return;
  }
  await pipeline(createReadStream(source), kind === "gzip" ? createGunzip() : createZstdDecompress(), out, { signal });
}
