import { UsageFailure } from "../failure.ts";
import { shown } from "./shown.ts";

const words: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file or folder on this machine",
  EACCES: "this machine denies the access",
  EPERM: "this machine denies the access",
  EROFS: "the file system of this machine is read-only",
  ENOSPC: "no space is left on this machine",
  EDQUOT: "no space is left for this user on this machine",
  ENOTDIR: "a part of the path is no directory on this machine",
  EISDIR: "is a directory on this machine, and a file can't take its place",
  ENOTEMPTY: "is a directory on this machine, and a file can't take its place",
  EEXIST: "is there on this machine already",
  ENAMETOOLONG: "the name is too long for this machine",
  EILSEQ: "this machine's file system doesn't take the name",
  ELOOP: "too many symlinks on this machine",
};

/** What the system said of a local path, in words; anything else stays what it is. */
export function localFailure(error: unknown, path: string | Uint8Array): unknown {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const said = words[code];
  return said === undefined ? error : new UsageFailure(`${shown(path)}: ${said}`, { cause: error });
}

/** For a file that is too large before a byte of it is written. */
export const noSpace = () =>
  Object.assign(new Error("the file is larger than the space that is left"), { code: "ENOSPC" });
