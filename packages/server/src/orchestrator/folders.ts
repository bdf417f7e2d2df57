import type { Readable } from "node:stream";
import type { ArchiveCompression, ArchiveContent, UnpackedArchive } from "../guest/guest-folders.ts";
import type { FolderEvent } from "../guest/guest-watch.ts";
import { resumed } from "../lib/resumed.ts";
import { guestPath } from "../sandbox/guest-path.ts";
import { about } from "./about.ts";
import type { Context } from "./context.ts";
import { type FileTarget, onFiles } from "./files.ts";

/** What clients do with whole folders. */
export function folderOperations(context: Context) {
  const on = onFiles(context);

  return {
    pack: (target: FileTarget, path: string, compression: ArchiveCompression): Promise<ArchiveContent> =>
      on(target, "file_archive_read", path, async (guest, facts) => {
        facts.detail = `compression=${compression}`;
        const content = await guest.folders.pack(guestPath(path), compression, target.signal);
        context.publish({ type: "file.read", ...about(facts.record) });
        return content;
      }),
    unpack: (
      target: FileTarget,
      path: string,
      content: Readable,
      compression: ArchiveCompression,
    ): Promise<UnpackedArchive> =>
      on(target, "file_archive_write", path, async (guest, facts) => {
        const unpacked = await guest.folders.unpack(guestPath(path), content, compression, target.signal);
        facts.detail = `compression=${compression} entries=${unpacked.entries} bytes=${unpacked.bytes}`;
        context.publish({ type: "file.written", ...about(facts.record) });
        return unpacked;
      }),
    /** Resolves when changes are told; throws what a read of the folder would. */
    watch: (target: FileTarget, path: string, recursive: boolean): Promise<AsyncIterable<FolderEvent>> =>
      on(target, "file_watch", path, async (guest, facts) => {
        facts.detail = `recursive=${recursive}`;
        const source = guest.watch(guestPath(path), { recursive }, target.signal)[Symbol.asyncIterator]();
        return resumed(await source.next(), source);
      }),
    make: (
      target: FileTarget,
      path: string,
      options: { readonly mode?: number; readonly parents: boolean },
    ): Promise<boolean> =>
      on(target, "file_mkdir", path, async (guest, facts) => {
        const created = await guest.folders.make(guestPath(path), options, target.signal);
        facts.detail = `created=${created}`;
        return created;
      }),
  };
}
