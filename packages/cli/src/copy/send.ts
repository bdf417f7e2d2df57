import fs from "node:fs";
import { Readable } from "node:stream";
import { type Sandbox, StacyVMError } from "stacyvm";
import { UsageFailure } from "../failure.ts";
import type { CopyContext } from "./copied.ts";
import { HashedFile } from "./hashed-file.ts";
import { type Kind, landing } from "./landing.ts";
import { localFailure } from "./local-failure.ts";
import { pack } from "./pack.ts";
import { goesOn, shown } from "./shown.ts";
import { type Side, sideText } from "./sides.ts";
import { uploadState } from "./upload-state.ts";

/** A file from this size on goes in pieces, so that a copy that is cut short can go on, bytes. */
const inPiecesBytes = 16 * 1024 * 1024;

/** What stands at a path of a sandbox; undefined where nothing does. */
export async function remoteKind(sandbox: Sandbox, path: string, signal: AbortSignal): Promise<Kind | undefined> {
  try {
    return (await sandbox.files.stat(path, { signal })).is_dir ? "directory" : "file";
  } catch (error) {
    if (error instanceof StacyVMError && error.reason === "file_not_found") return undefined;
    throw error;
  }
}

/** Local files and folders, or standard input, into a sandbox. */
export async function send(
  sandbox: Sandbox,
  sources: readonly Exclude<Side, { kind: "sandbox" }>[],
  target: Extract<Side, { kind: "sandbox" }>,
  context: CopyContext,
): Promise<void> {
  const { signal } = context;
  const there = { text: sideText(target), path: target.path, kind: await remoteKind(sandbox, target.path, signal) };
  for (const source of sources) {
    if (source.kind === "stdio") {
      if (sources.length > 1) throw new UsageFailure("standard input can't be one of several sources");
      if (there.kind === "directory") throw new UsageFailure(`${there.text} is a directory; name the new file`);
      await sandbox.files.write(target.path, Readable.toWeb(process.stdin) as ReadableStream<Uint8Array>, { signal });
      context.done.files++;
      continue;
    }
    const stats = localStats(source.path);
    const kind: Kind = stats.isDirectory() ? "directory" : "file";
    const { path } = landing({ text: source.path, path: source.path, kind }, there, sources.length === 1);
    context.progress.begin(shown(source.path), kind === "file" ? stats.size : undefined);
    if (kind === "directory") await sendFolder(sandbox, source.path, path, context);
    else if (stats.isFile()) await sendFile(sandbox, source.path, stats, path, context);
    else throw new UsageFailure(`${shown(source.path)} is neither a file nor a folder`);
  }
}

function localStats(path: string): fs.Stats {
  try {
    return fs.statSync(path);
  } catch (error) {
    throw localFailure(error, path);
  }
}

async function sendFolder(sandbox: Sandbox, folder: string, path: string, context: CopyContext): Promise<void> {
  const { done, progress, signal, isFollowing, warn } = context;
  const onSkip = (name: string, why: string) => warn(`${name}: ${why}`);
  const archive = pack(folder, { isFollowing, onSkip, onBytes: progress.add }, done);
  let failure: unknown;
  const guarded = (async function* () {
    try {
      yield* archive;
    } catch (error) {
      failure = error;
      throw error;
    }
  })();
  try {
    await sandbox.files.writeArchive(path, ReadableStream.from(guarded), { signal });
  } catch (error) {
    // A request that its own content broke says only that it broke.
    throw failure ?? error;
  }
}

async function sendFile(
  sandbox: Sandbox,
  local: string,
  stats: fs.Stats,
  path: string,
  { done, progress, signal, warn }: CopyContext,
): Promise<void> {
  using file = openedFile(local);
  const mode = (stats.mode & 0o777).toString(8).padStart(4, "0");
  if (file.size < inPiecesBytes) {
    const content = file.slice(0, file.size);
    await sandbox.files.write(path, content, { mode, signal });
    progress.add(content.length);
  } else {
    const state = uploadState([sandbox.id, path, fs.realpathSync(local), file.size, stats.mtimeMs]);
    let sent: number | undefined;
    try {
      await sandbox.files.upload(path, file, {
        mode,
        signal,
        checksum: () => file.checksum(),
        uploadId: state.uploadId,
        onBegin: state.remember,
        onProgress: (sentBytes) => {
          // The first is what had arrived of an earlier copy.
          if (sent === undefined) progress.skip(sentBytes);
          else progress.add(sentBytes - sent);
          sent = sentBytes;
        },
      });
    } catch (error) {
      if (signal.aborted && sent) warn(goesOn(local));
      throw error;
    }
    state.forget();
  }
  done.files++;
  done.bytes += file.size;
}

function openedFile(path: string): HashedFile {
  try {
    return new HashedFile(path);
  } catch (error) {
    throw localFailure(error, path);
  }
}
