import type { Layer } from "../layered-image.ts";
import type { TarHeader } from "../tar/header.ts";
import { encodeHeader, endOfArchive, padding } from "../tar/write.ts";

export interface WrittenEntry {
  /** Without a leading slash. */
  readonly name: string;
  readonly type?: "file" | "directory" | "symlink";
  /** Of a file, or a symlink's target. */
  readonly content?: string;
  /** User and group; root where absent. */
  readonly owner?: number;
}

/** Permissions of files and of directories and programs. */
const modes = { plain: 0o644, entered: 0o755 };

/** When npm says that its files were written: the same content has the same digest, and zip can express it. */
const mtimeSeconds = 499_162_500;

/** A header of an entry that is ours. */
export const headerFor = (entry: Partial<TarHeader> & Pick<TarHeader, "name" | "type">): TarHeader => ({
  linkName: "",
  mode: entry.type === "file" ? modes.plain : modes.entered,
  uid: 0,
  gid: 0,
  mtimeSeconds,
  xattrs: {},
  sizeBytes: 0,
  ...entry,
});

/** A layer of few small entries. */
export function layerOf(entries: readonly WrittenEntry[]): Layer {
  const blocks = entries.map(({ name, type = "file", content = "", owner = 0 }) => {
    const bytes = Buffer.from(type === "file" ? content : "", "latin1");
    const linkName = type === "symlink" ? content : "";
    const header = headerFor({ name, type, linkName, uid: owner, gid: owner, sizeBytes: bytes.length });
    return Buffer.concat([encodeHeader(header), bytes, padding(bytes.length)]);
  });
  return plainLayer(async function* () {
    yield* blocks;
    yield endOfArchive();
  });
}

/** A layer that we make ourselves, so that nothing states its digest. */
export const plainLayer = (open: () => AsyncIterable<Buffer>): Layer => ({
  open,
  blobDigest: undefined,
  diffId: undefined,
});
