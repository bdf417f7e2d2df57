import type { Readable } from "node:stream";
import type { Guest } from "../guest/guest.ts";
import type { UploadState } from "../guest/guest-uploads.ts";
import { guestPath } from "../sandbox/guest-path.ts";
import { about } from "./about.ts";
import type { Context } from "./context.ts";
import type { FileTarget } from "./files.ts";
import { findServing } from "./find.ts";
import { type Facts, measured } from "./measure.ts";

export interface UploadTarget extends FileTarget {
  readonly uploadId: string;
}

/** An upload as its client knows it. */
export interface KnownUpload extends UploadState {
  readonly uploadId: string;
}

/**
 * Files that arrive in pieces. The id is made here and kept in the sandbox alone, so that it stays valid over a restart
 * of the server.
 */
export function uploadUseCases(context: Context) {
  const on = async <T>(
    target: FileTarget,
    step: "begin" | "append" | "commit" | "abort",
    resource: string,
    work: (guest: Guest, facts: Facts) => Promise<T>,
  ): Promise<T> => {
    const { id, caller, signal } = target;
    const what = { operation: "upload" as const, action: `file.upload.${step}`, sandboxId: id, resource, caller };
    return await measured(context, what, async (facts) => {
      const { record, runtime } = await findServing(context, id, caller, signal);
      facts.record = record;
      return await work(runtime.guest, facts);
    });
  };

  return {
    begin: (
      target: FileTarget,
      file: { readonly path: string; readonly mode: number; readonly sizeBytes: number | undefined },
    ): Promise<KnownUpload> =>
      on(target, "begin", file.path, async (guest, facts) => {
        const uploadId = context.ids.upload();
        facts.detail = `upload=${uploadId}`;
        const state = await guest.uploads.begin(uploadId, { ...file, path: guestPath(file.path) }, target.signal);
        return { uploadId, ...state };
      }),
    append: (target: UploadTarget, offset: number, content: Readable): Promise<KnownUpload> =>
      on(target, "append", target.uploadId, async (guest, facts) => {
        const state = await guest.uploads.append(target.uploadId, offset, content, target.signal);
        facts.detail = `bytes=${state.offset - offset}`;
        return { uploadId: target.uploadId, ...state };
      }),
    get: async (target: UploadTarget): Promise<KnownUpload> => {
      const { runtime } = await findServing(context, target.id, target.caller, target.signal);
      return { uploadId: target.uploadId, ...(await runtime.guest.uploads.get(target.uploadId, target.signal)) };
    },
    commit: (
      target: UploadTarget,
      sha256: string | undefined,
    ): Promise<{ readonly sizeBytes: number; readonly sha256: string }> =>
      on(target, "commit", target.uploadId, async (guest, facts) => {
        const written = await guest.uploads.commit(target.uploadId, sha256, target.signal);
        facts.detail = `bytes=${written.sizeBytes}`;
        context.publish({ type: "file.written", ...about(facts.record) });
        return written;
      }),
    abort: (target: UploadTarget): Promise<void> =>
      on(target, "abort", target.uploadId, (guest) => guest.uploads.abort(target.uploadId, target.signal)),
  };
}
