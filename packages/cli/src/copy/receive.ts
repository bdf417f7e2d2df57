import { createHash } from "node:crypto";
import fs from "node:fs";
import { basename, dirname, join } from "node:path";
import type { FileInfo, Sandbox } from "stacyvm";
import { UsageFailure } from "../failure.ts";
import type { Output } from "../output.ts";
import type { CopyContext } from "./copied.ts";
import { type Kind, landing } from "./landing.ts";
import { localFailure, noSpace } from "./local-failure.ts";
import { goesOn, shown } from "./shown.ts";
import { type Side, sideText } from "./sides.ts";
import { fileWriter, isRoomFor } from "./sparse-file.ts";
import { unpackInto } from "./unpack.ts";

type Remote = Extract<Side, { kind: "sandbox" }>;

/** Files and folders of a sandbox onto this machine, or one file to standard output. */
export async function receive(
  sandboxOf: (id: string) => Promise<Sandbox>,
  sources: readonly Remote[],
  target: Exclude<Side, { kind: "sandbox" }>,
  output: Output,
  context: CopyContext,
): Promise<void> {
  const { signal } = context;
  const there =
    target.kind === "stdio" ? undefined : { text: target.path, path: target.path, kind: localKind(target.path) };
  for (const source of sources) {
    const sandbox = await sandboxOf(source.id);
    const info = await sandbox.files.stat(source.path, { signal });
    context.progress.begin(shown(sideText(source)), info.is_dir ? undefined : info.size);
    if (there === undefined) {
      if (info.is_dir)
        throw new UsageFailure(`${sideText(source)} is a folder; name one on this machine to copy it to`);
      if (sources.length > 1) throw new UsageFailure("standard output takes one file");
      await toStandardOutput(sandbox, source.path, output, context);
      continue;
    }
    const kind: Kind = info.is_dir ? "directory" : "file";
    const { path, joined } = landing({ text: sideText(source), path: source.path, kind }, there, sources.length === 1);
    if (joined && info.is_dir) refuseSymlink(path);
    if (info.is_dir) await receiveFolder(sandbox, source.path, path, context);
    else await receiveFile(sandbox, source.path, info, path, context);
  }
}

function localKind(path: string): Kind | undefined {
  try {
    const stats = fs.statSync(path, { throwIfNoEntry: false });
    return stats === undefined ? undefined : stats.isDirectory() ? "directory" : "file";
  } catch (error) {
    throw localFailure(error, path);
  }
}

/** Under a name that the user didn't write, an earlier copy may have left a link out of the folder. */
function refuseSymlink(path: string): void {
  if (fs.lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() !== true) return;
  const why = "is a symlink, which isn't followed; remove it, or name the folder that it leads to";
  throw new UsageFailure(`${shown(path)} ${why}`);
}

async function toStandardOutput(sandbox: Sandbox, path: string, output: Output, context: CopyContext): Promise<void> {
  for await (const piece of await sandbox.files.stream(path, { signal: context.signal })) {
    await output.raw("stdout", piece);
    context.done.bytes += piece.length;
  }
  context.done.files++;
}

async function receiveFolder(sandbox: Sandbox, path: string, local: string, context: CopyContext): Promise<void> {
  const { done, progress, signal, warn } = context;
  const archive = await sandbox.files.readArchive(path, { signal });
  try {
    fs.mkdirSync(local, { recursive: true });
  } catch (error) {
    throw localFailure(error, local);
  }
  const unpacked = await unpackInto(local, archive, progress.add);
  if (unpacked.linksOut > 0) {
    warn(`${unpacked.linksOut} symlinks lead out of ${shown(local)}: on this machine they name something else`);
  }
  for (const name of ["files", "directories", "links", "bytes"] as const) done[name] += unpacked[name];
}

/** The part's name tells which version of which file it is of: what is there of another one doesn't count. */
const partPath = (local: string, identity: string): string => {
  const version = createHash("sha256").update(identity).digest("hex").slice(0, 16);
  return join(dirname(local), `.${basename(local).slice(0, 200)}.${version}.stacyvm-part`);
};

/**
 * Opens what is there of a file, or begins it. The name can be guessed: what stands under it is written into only where it is
 * this user's own file and has no other name.
 */
function openedPart(part: string): number {
  const { O_RDWR, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
  const fd = fs.openSync(part, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
  const stats = fs.fstatSync(fd);
  const isOwn = process.geteuid === undefined || stats.uid === process.geteuid();
  if (stats.isFile() && stats.nlink === 1 && isOwn) return fd;
  fs.closeSync(fd);
  throw new UsageFailure(`${shown(part)} is not what an earlier copy of yours left; remove it and copy again`);
}

async function receiveFile(
  sandbox: Sandbox,
  path: string,
  info: FileInfo,
  local: string,
  { done, progress, signal, warn }: CopyContext,
): Promise<void> {
  if (fs.statSync(local, { throwIfNoEntry: false })?.isFile() === false) {
    throw new UsageFailure(`${shown(local)} is no regular file on this machine, and keeps its place`);
  }
  const { etag } = await sandbox.files.version(path, { signal });
  const part = partPath(local, JSON.stringify([sandbox.id, path, etag ?? ""]));
  try {
    const fd = openedPart(part);
    try {
      const from = etag === undefined ? 0 : Math.min(fs.fstatSync(fd).size, info.size);
      const download = await sandbox.files.download(path, { from: from < info.size ? from : 0, signal });
      if (download.etag !== etag) throw new UsageFailure(`${shown(path)} has changed meanwhile; copy it again`);
      if (!isRoomFor(dirname(part), info.size - download.offset)) throw noSpace();
      fs.ftruncateSync(fd, download.offset);
      progress.skip(download.offset);
      const writer = fileWriter(fd, download.offset);
      try {
        for await (const piece of download.stream) {
          writer.write(piece);
          progress.add(piece.length);
        }
      } finally {
        writer.end();
      }
      const { sizeBytes } = download;
      if (sizeBytes !== undefined && writer.offset !== sizeBytes) {
        throw new UsageFailure(`the connection ended within ${shown(path)}; the same command goes on from there`);
      }
      fs.fchmodSync(fd, Number.parseInt(info.mode, 8) & 0o777);
      fs.futimesSync(fd, Date.now() / 1000, Date.parse(info.mod_time) / 1000);
      done.bytes += writer.offset;
    } finally {
      fs.closeSync(fd);
    }
    fs.renameSync(part, local);
    done.files++;
  } catch (error) {
    if (signal.aborted && etag !== undefined) warn(goesOn(local));
    throw localFailure(error, local);
  }
}
