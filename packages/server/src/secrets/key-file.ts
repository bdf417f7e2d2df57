import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { StacyError } from "@stacyvm/contract";
import { Secret } from "../lib/secret.ts";

const hasCode = (error: unknown, code: string): boolean =>
  error instanceof Error && "code" in error && error.code === code;

const refused = (path: string, why: string, remediation: string, cause?: unknown): StacyError =>
  new StacyError("internal", `the key file ${path} ${why}`, { remediation, cause });

/** The key that the file holds; undefined where there is no file. Throws for one that others may read or that holds none. */
export const readKeyFile = (path: string): Secret | undefined => {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    if (hasCode(cause, "ENOENT")) return undefined;
    throw refused(path, "can't be read", "Make it a file of the server's user, with mode 0600.", cause);
  }
  try {
    const stat = fstatSync(file);
    if (!stat.isFile() || stat.uid !== process.geteuid?.() || (stat.mode & 0o077) !== 0) {
      const mode = (stat.mode & 0o777).toString(8).padStart(4, "0");
      const remediation = `See who had it meanwhile; then chmod 600 ${path}, owned by the server's user.`;
      throw refused(path, `isn't a file of the server's user alone (uid ${stat.uid}, mode ${mode})`, remediation);
    }
    const text = readFileSync(file, "utf8").trim();
    if (/^[0-9a-f]{64}$/.test(text)) return new Secret(text);
  } finally {
    closeSync(file);
  }
  const remediation = "Restore it from a backup. Without it what it opens stays closed: remove it, and make that anew.";
  throw refused(path, "doesn't hold 64 hexadecimal digits", remediation);
};

const syncFolder = (path: string): void => {
  const folder = openSync(dirname(path), constants.O_RDONLY);
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
};

/**
 * Keeps the fresh key in the file, unless there is one already; answers the one that the file holds. It is there as a
 * whole or not at all, and on the disk before anything is sealed with it. `fresh`: 64 hexadecimal digits.
 */
export const ensureKeyFile = (path: string, fresh: Secret): Secret => {
  const found = readKeyFile(path);
  if (found !== undefined) return found;
  const unfinished = `${path}.new`;
  try {
    unlinkSync(unfinished);
  } catch (error) {
    if (!hasCode(error, "ENOENT")) throw error;
  }
  const file = openSync(unfinished, "wx", 0o600);
  try {
    writeSync(file, `${fresh.reveal()}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  try {
    linkSync(unfinished, path);
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
  }
  unlinkSync(unfinished);
  syncFolder(path);
  return readKeyFile(path) ?? fresh;
};
