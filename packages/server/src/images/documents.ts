import { createHash } from "node:crypto";
import { imageBounds } from "./bounds.ts";
import { DigestMismatchError } from "./tar/normalise.ts";

/** A document whose bytes have the digest under which it was asked for. */
export async function verifiedDocument(
  blobs: { document(digest: string): Promise<Buffer> },
  digest: string,
): Promise<Buffer> {
  const bytes = await blobs.document(digest);
  const found = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  if (found !== digest) throw new DigestMismatchError(`a document has the digest ${found}, not ${digest} as stated`);
  return bytes;
}

/** `NAME=value` lines of an image; malformed ones are left out, and what goes beyond the bounds. */
export function boundedEnv(lines: readonly string[]): Record<string, string> {
  const env: [string, string][] = [];
  let bytes = 0;
  for (const line of lines) {
    const match = /^([^=\0]{1,255})=([^\0]*)$/s.exec(line);
    if (match === null) continue;
    bytes += Buffer.byteLength(line);
    if (env.length >= imageBounds.envEntries || bytes > imageBounds.envBytes) break;
    env.push([match[1] ?? "", match[2] ?? ""]);
  }
  return Object.fromEntries(env);
}
