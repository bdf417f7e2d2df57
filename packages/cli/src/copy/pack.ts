import fs from "node:fs";
import { encodeHeader, endOfArchive, padding, type TarHeader, type TarType } from "@stacyvm/server/tar";
import type { Copied } from "./copied.ts";
import { localFailure } from "./local-failure.ts";
import { shown } from "./shown.ts";
import { type LocalEntry, type WalkOptions, walk } from "./walk.ts";

/** Bytes read of a file at once, and how many bytes of small entries go out together. */
const pieceBytes = 128 * 1024;

/** Files with several names that are remembered; a further one is sent whole under each name. */
const linkedMax = 100_000;

export interface PackOptions extends WalkOptions {
  readonly onBytes?: (bytes: number) => void;
}

/** A local folder as a tar, in pieces. Modes and times go along, the owner doesn't. `done` is counted on the way. */
export async function* pack(folder: string, options: PackOptions, done: Copied): AsyncGenerator<Buffer> {
  let waiting: Buffer[] = [];
  let waitingBytes = 0;
  const linked = new Map<string, string>();
  const put = (...pieces: readonly Buffer[]): void => {
    waiting.push(...pieces);
    for (const piece of pieces) waitingBytes += piece.length;
  };
  const taken = (): Buffer => {
    const all = Buffer.concat(waiting);
    [waiting, waitingBytes] = [[], 0];
    return all;
  };
  for (const entry of walk(folder, options)) {
    const { stats } = entry;
    if (stats.isDirectory()) {
      put(headerOf(entry, "directory"));
      done.directories++;
    } else if (stats.isSymbolicLink()) {
      const target = fs.readlinkSync(entry.path, { encoding: "buffer" }).toString("latin1");
      put(headerOf(entry, "symlink", { linkName: target }));
      done.links++;
    } else {
      const inode = `${stats.dev}:${stats.ino}`;
      const first = stats.nlink > 1 ? linked.get(inode) : undefined;
      done.files++;
      if (first !== undefined) {
        put(headerOf(entry, "hardlink", { linkName: first }));
        continue;
      }
      if (stats.nlink > 1 && linked.size < linkedMax) linked.set(inode, entry.name);
      put(headerOf(entry, "file", { sizeBytes: stats.size }));
      for (const piece of contentOf(entry, options)) {
        put(piece);
        done.bytes += piece.length;
        options.onBytes?.(piece.length);
        if (waitingBytes >= pieceBytes) yield taken();
      }
      put(padding(stats.size));
    }
    if (waitingBytes >= pieceBytes) yield taken();
  }
  put(endOfArchive());
  yield taken();
}

const headerOf = ({ name, stats }: LocalEntry, type: TarType, more: Partial<TarHeader> = {}): Buffer =>
  encodeHeader({
    name,
    type,
    linkName: "",
    mode: stats.mode & 0o7777,
    uid: 0,
    gid: 0,
    sizeBytes: 0,
    mtimeSeconds: Math.floor(stats.mtimeMs / 1000),
    xattrs: {},
    ...more,
  });

/** As many bytes as the header says: of a file that grew no more, for one that shrank zeros. */
function* contentOf({ path, stats }: LocalEntry, { isFollowing, onSkip }: WalkOptions): Generator<Buffer> {
  // Non-blocking, for a FIFO that took the file's place meanwhile.
  const flags = fs.constants.O_RDONLY | fs.constants.O_NONBLOCK | (isFollowing ? 0 : fs.constants.O_NOFOLLOW);
  let fd: number;
  try {
    fd = fs.openSync(path, flags);
  } catch (error) {
    throw localFailure(error, path);
  }
  try {
    for (let left = stats.size; left > 0; ) {
      const piece = Buffer.allocUnsafe(Math.min(left, pieceBytes));
      const bytes = fs.readSync(fd, piece, 0, piece.length, null);
      if (bytes === 0) {
        onSkip(shown(path), "it became shorter while it was read; zeros stand for the rest");
        yield* zeros(left);
        return;
      }
      left -= bytes;
      yield piece.subarray(0, bytes);
    }
  } finally {
    fs.closeSync(fd);
  }
}

function* zeros(count: number): Generator<Buffer> {
  for (let left = count; left > 0; left -= pieceBytes) yield Buffer.alloc(Math.min(left, pieceBytes));
}
