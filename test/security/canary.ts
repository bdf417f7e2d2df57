import { createHash, randomBytes } from "node:crypto";
import { chmod, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Files of the host that everybody could read and write, were they to be reached. */
export interface Canary {
  readonly path: string;
  readonly file: string;
  /** Differs in every run; nothing that a sandbox prints may hold it. */
  readonly secret: string;
  /** What is not as it was: empty while nothing was changed. */
  changes(): Promise<readonly string[]>;
  /** Makes it whole, after an attack that got through. */
  restore(): Promise<void>;
}

/** A secret of the host, told by nothing but itself. */
export const secretText = (): string => `canary-${randomBytes(16).toString("hex")}`;

const stateOf = async (path: string): Promise<string> => {
  const { ino, mode, uid, gid, size, nlink, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
  const content = (await stat(path)).isFile()
    ? createHash("sha256")
        .update(await readFile(path))
        .digest("hex")
    : (await readdir(path)).sort().join(" ");
  return [ino, mode, uid, gid, size, nlink, mtimeNs, ctimeNs, content].join(" ");
};

/** Inode, mode, owner, times and content of each path, to be compared later. */
export const watched = async (paths: readonly string[]): Promise<() => Promise<readonly string[]>> => {
  const look = (path: string) => stateOf(path).catch(String);
  const before = await Promise.all(paths.map(look));
  return async () => {
    const now = await Promise.all(paths.map(look));
    return paths.filter((_, at) => now[at] !== before[at]);
  };
};

export const placeCanary = async (parent: string): Promise<Canary> => {
  const path = join(parent, "canary");
  const secret = secretText();
  const file = join(path, "file");
  const deep = join(path, "inner/deep");
  let changes: () => Promise<readonly string[]> = async () => [];
  const restore = async (): Promise<void> => {
    await mkdir(path, { recursive: true });
    // The directory itself stays: where it was mounted it must be met again.
    for (const name of await readdir(path)) await rm(join(path, name), { recursive: true });
    await mkdir(join(path, "inner"));
    for (const each of [file, deep]) await writeFile(each, secret);
    for (const each of [path, join(path, "inner")]) await chmod(each, 0o777);
    for (const each of [file, deep]) await chmod(each, 0o666);
    changes = await watched([path, file, join(path, "inner"), deep]);
  };
  await restore();
  return { path, file, secret, restore, changes: () => changes() };
};
