import type { TarHeader } from "./header.ts";
import { encodeHeader, endOfArchive, padding } from "./write.ts";

export type FixtureEntry = Partial<TarHeader> & { readonly name: string; readonly content?: string };

/** A header with everything that a test doesn't care about. */
export const headerOf = ({ content = "", ...entry }: FixtureEntry): TarHeader => ({
  type: "file",
  linkName: "",
  mode: 0o644,
  uid: 0,
  gid: 0,
  mtimeSeconds: 1_700_000_000,
  xattrs: {},
  sizeBytes: Buffer.byteLength(content),
  ...entry,
});

/** An archive as an attacker could write it: nothing is checked. */
export const tarOf = (...entries: readonly FixtureEntry[]): Buffer =>
  Buffer.concat([
    ...entries.flatMap((entry) => {
      const content = Buffer.from(entry.content ?? "");
      return [encodeHeader(headerOf(entry)), content, padding(content.length)];
    }),
    endOfArchive(),
  ]);

/** Bytes in chunks of a given size, as a network or a decompressor may cut them. */
export async function* chunked(bytes: Buffer, size = 64 * 1024): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
