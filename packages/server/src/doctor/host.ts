import { execFile } from "node:child_process";
import { accessSync, constants, existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { join } from "node:path";
import { programDirs } from "../lib/find-program.ts";

/** How long one program may take to say its version, milliseconds. */
const versionTimeoutMs = 5_000;
/** Longest answer of such a program, bytes. */
const versionMaxBytes = 64 * 1024;

/** This machine, looked at and never changed. */
export interface Host {
  /** Of the user who looks; 0 is root. */
  readonly uid: number;
  /** Undefined where it can't be read. */
  readText(path: string): string | undefined;
  exists(path: string): boolean;
  /** May be opened for reading and writing. */
  isWritable(path: string): boolean;
  /** Absolute path of a program, links followed; undefined where it isn't installed. */
  find(name: string): string | undefined;
  /** Another one when the file has changed; undefined where it is gone. */
  identityOf(path: string): string | undefined;
  /** What it prints, also where it fails in the end; undefined where it doesn't run or takes too long. */
  outputOf(program: string, args: readonly string[]): Promise<string | undefined>;
}

export interface HostOptions {
  /** Where its file system begins; another one than "/" in tests. */
  readonly root?: string;
  readonly uid?: number;
}

export function createHost({ root = "/", uid = process.getuid?.() ?? 0 }: HostOptions = {}): Host {
  const at = (path: string) => (root === "/" ? path : join(root, path));
  const own = (path: string) => (root === "/" ? path : path.slice(root.length));
  const can = (path: string, mode: number): boolean => {
    try {
      accessSync(path, mode);
      return true;
    } catch {
      return false;
    }
  };
  return {
    uid,
    readText: (path) => {
      try {
        return readFileSync(at(path), "utf8");
      } catch {
        return undefined;
      }
    },
    exists: (path) => existsSync(at(path)),
    isWritable: (path) => can(at(path), constants.R_OK | constants.W_OK),
    find: (name) => {
      const places = name.startsWith("/") ? [name] : programDirs.map((dir) => join(dir, name));
      const found = places.find((path) => can(at(path), constants.X_OK));
      return found === undefined ? undefined : own(realpathSync(at(found)));
    },
    identityOf: (path) => {
      const found = statSync(at(path), { throwIfNoEntry: false });
      return found && [found.dev, found.ino, found.mtimeMs, found.size].join(" ");
    },
    outputOf: (program, args) =>
      new Promise((resolve) => {
        const env = { PATH: programDirs.join(":"), LC_ALL: "C" };
        const options = { timeout: versionTimeoutMs, maxBuffer: versionMaxBytes, env };
        execFile(at(program), [...args], options, (error, stdout) => {
          // A number is the program's own exit code.
          resolve(error === null || typeof error.code === "number" ? stdout : undefined);
        });
      }),
  };
}
