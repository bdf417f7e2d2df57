import type { Readable } from "node:stream";
import { StacyError } from "@stacyvm/contract";
import type { FileContent, FileEntry, Guest, ReadFileOptions } from "../guest/guest.ts";
import { guestPath } from "../sandbox/guest-path.ts";
import type { MeasuredOperation } from "../telemetry/metrics.ts";
import { about } from "./about.ts";
import type { Caller, Context } from "./context.ts";
import { findServing } from "./find.ts";
import { type Facts, measured } from "./measure.ts";

/** Mode of a file written without one. */
export const defaultFileMode = 0o644;

export interface FileTarget {
  readonly id: string;
  readonly caller: Caller;
  readonly signal: AbortSignal;
}

/** Octal text to permission bits. Throws invalid_input. */
export function parseFileMode(text: string | undefined): number {
  if (text === undefined || text === "") return defaultFileMode;
  if (!/^0?[0-7]{3,4}$/.test(text)) {
    throw new StacyError("invalid_input", `invalid input: mode must be three or four octal digits, for example 0644`);
  }
  return Number.parseInt(text, 8);
}

type FileOperation = Extract<MeasuredOperation, `file_${string}`>;

/** Runs one operation on a sandbox's files under the name that metrics and the audit know. */
export const onFiles =
  (context: Context) =>
  async <T>(
    target: FileTarget,
    operation: FileOperation,
    resource: string,
    work: (guest: Guest, facts: Facts) => Promise<T>,
  ): Promise<T> => {
    const { id, caller, signal } = target;
    const action = operation.replace("_", ".");
    return await measured(context, { operation, action, sandboxId: id, resource, caller }, async (facts) => {
      const { record, runtime } = await findServing(context, id, caller, signal);
      facts.record = record;
      return await work(runtime.guest, facts);
    });
  };

/** What clients do with files; every path is made absolute here and judged inside the sandbox. */
export function fileOperations(context: Context) {
  const on = onFiles(context);

  return {
    read: (target: FileTarget, path: string, options: ReadFileOptions): Promise<FileContent> =>
      on(target, "file_read", path, async (guest, facts) => {
        const content = await guest.readFile(guestPath(path), options, target.signal);
        facts.detail = `bytes=${content.sizeBytes ?? ""}`;
        context.publish({ type: "file.read", ...about(facts.record) });
        return content;
      }),
    write: (target: FileTarget, path: string, content: Readable | Uint8Array, mode: number): Promise<void> =>
      on(target, "file_write", path, async (guest, facts) => {
        facts.detail = `mode=${mode.toString(8).padStart(4, "0")}`;
        await guest.writeFile(guestPath(path), content, { mode }, target.signal);
        context.publish({ type: "file.written", ...about(facts.record) });
      }),
    list: (target: FileTarget, path: string, depth = 1): Promise<readonly FileEntry[]> =>
      on(target, "file_list", path, async (guest, facts) => {
        const entries = await guest.list(guestPath(path), target.signal, { depth });
        facts.detail = `count=${entries.length}`;
        return entries;
      }),
    stat: (target: FileTarget, path: string): Promise<FileEntry> =>
      on(target, "file_stat", path, (guest) => guest.stat(guestPath(path), target.signal)),
    remove: (target: FileTarget, path: string, recursive: boolean): Promise<void> =>
      on(target, "file_delete", path, async (guest, facts) => {
        if (recursive) facts.detail = "recursive=true";
        await guest.remove(guestPath(path), { recursive }, target.signal);
      }),
    move: (target: FileTarget, from: string, to: string): Promise<void> =>
      on(target, "file_move", `${from} -> ${to}`, (guest) => guest.move(guestPath(from), guestPath(to), target.signal)),
    chmod: (target: FileTarget, path: string, mode: number): Promise<void> =>
      on(target, "file_chmod", path, async (guest, facts) => {
        facts.detail = `mode=${mode.toString(8)}`;
        await guest.chmod(guestPath(path), mode, target.signal);
      }),
    glob: (target: FileTarget, pattern: string): Promise<readonly string[]> =>
      on(target, "file_glob", pattern, async (guest, facts) => {
        const paths = await guest.glob(guestPath(pattern), target.signal);
        facts.detail = `count=${paths.length}`;
        return paths;
      }),
  };
}
