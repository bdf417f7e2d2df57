import type { Readable } from "node:stream";
import type { Guest } from "../guest/guest.ts";
import type { ArchiveCompression, ArchiveContent, UnpackedArchive } from "../guest/guest-folders.ts";
import type { FolderEvent } from "../guest/guest-watch.ts";
import { resumed } from "../lib/resumed.ts";
import { guestPath } from "../sandbox/guest-path.ts";
import type { Context } from "./context.ts";
import type { FileTarget } from "./files.ts";
import { findServing } from "./find.ts";
import { type Facts, measured } from "./measure.ts";

/** What clients do with whole folders. */
export function folderOperations(context: Context) {
  const on = async <T>(
    target: FileTarget,
    name: "archive_read" | "archive_write" | "mkdir" | "watch",
    resource: string,
    work: (guest: Guest, facts: Facts) => Promise<T>,
  ): Promise<T> => {
    const { id, caller, signal } = target;
    const what = { operation: `file_${name}` as const, action: `file.${name}`, sandboxId: id, resource, caller };
    return await measured(context, what, async (facts) => {
      const { record, runtime } = await findServing(context, id, caller, signal);
      facts.record = record;
      return await work(runtime.guest, facts);
    });
  };

  return {
    pack: (target: FileTarget, path: string, compression: ArchiveCompression): Promise<ArchiveContent> =>
      on(target, "archive_read", path, async (guest, facts) => {
        facts.detail = `compression=${compression}`;
        const content = await guest.folders.pack(guestPath(path), compression, target.signal);
        context.publish({ type: "file.read", sandboxId: target.id, tenantId: target.caller.tenantId });
        return content;
      }),
    unpack: (
      target: FileTarget,
      path: string,
      content: Readable,
      compression: ArchiveCompression,
    ): Promise<UnpackedArchive> =>
      on(target, "archive_write", path, async (guest, facts) => {
        const unpacked = await guest.folders.unpack(guestPath(path), content, compression, target.signal);
        facts.detail = `compression=${compression} entries=${unpacked.entries} bytes=${unpacked.bytes}`;
        context.publish({ type: "file.written", sandboxId: target.id, tenantId: target.caller.tenantId });
        return unpacked;
      }),
    /** Resolves when changes are told; throws what a read of the folder would. */
    watch: (target: FileTarget, path: string, recursive: boolean): Promise<AsyncIterable<FolderEvent>> =>
      on(target, "watch", path, async (guest, facts) => {
        facts.detail = `recursive=${recursive}`;
        const source = guest.watch(guestPath(path), { recursive }, target.signal)[Symbol.asyncIterator]();
        return resumed(await source.next(), source);
      }),
    make: (
      target: FileTarget,
      path: string,
      options: { readonly mode?: number; readonly parents: boolean },
    ): Promise<boolean> =>
      on(target, "mkdir", path, async (guest, facts) => {
        const created = await guest.folders.make(guestPath(path), options, target.signal);
        facts.detail = `created=${created}`;
        return created;
      }),
  };
}
