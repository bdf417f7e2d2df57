import { createHash } from "node:crypto";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { chmod, mkdir, mkdtemp, open, readdir, readFile, rename, rm, stat, utimes } from "node:fs/promises";
import { basename, join } from "node:path";
import { z } from "zod";
import { isNotFound } from "./errno.ts";
import type { StoredImage } from "./image-store.ts";
import type { ImageAccess } from "./layered-image.ts";
import { openPins, type Pins } from "./pins.ts";
import { isAlive, processMark } from "./process-mark.ts";

const record = z.object({
  reference: z.string(),
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  sizeBytes: z.number(),
  createdAtMs: z.number(),
  source: z.enum(["pull", "import", "build-base"]),
  env: z.record(z.string(), z.string()),
  access: z
    .union([
      z.literal("public"),
      z.object({ manifest: z.string().regex(/^sha256:[0-9a-f]{64}$/), pulledBy: z.array(z.string()) }),
    ])
    .optional(),
});

export interface ImageRecord extends Omit<StoredImage, "lastUsedAtMs"> {
  readonly env: Readonly<Record<string, string>>;
  /** Absent for what no registry gave, and for what was pulled before this was kept. */
  readonly access?: ImageAccess | undefined;
}

export type ListedRecord = ImageRecord & Pick<StoredImage, "lastUsedAtMs">;

/**
 * The store's directory: `trees/<hex>/rootfs`, `refs/<hash of the reference>.json`, `locks/`, `pins/`, `tmp/`. What has
 * its final name is whole: trees and records are made under tmp/, flushed, and renamed. A record's time of change is
 * its image's last use. `trees/<hex>/doomed` means something only while somebody holds the index lock.
 */
export interface Shelf {
  readonly locks: string;
  readonly pins: Pins;
  rootfsPath(digest: string): string;
  /** False also while the tree is about to be removed. */
  hasTree(digest: string): boolean;
  find(reference: string): Promise<ImageRecord | undefined>;
  list(): Promise<readonly ListedRecord[]>;
  put(record: ImageRecord): Promise<void>;
  drop(reference: string): Promise<void>;
  /** Notes a use; a record that is gone meanwhile needs none. */
  touch(reference: string, nowMs: number): Promise<void>;
  /** An empty directory of this process, for `await using`. */
  temporary(): Promise<AsyncDisposable & { readonly path: string }>;
  /** Gives an unpacked `rootfs` in a temporary directory its final name, unless the tree is there already. */
  adoptTree(digest: string, temporary: string): Promise<void>;
  /** Digests of the trees there are. */
  trees(): Promise<readonly string[]>;
  /** Under the index lock: from now on nobody begins to use the tree. */
  doom(digest: string): void;
  /** Under the index lock: takes `doom` back, a dead process's too. */
  spare(digest: string): void;
  /** Under the index lock: the tree leaves the shelf for a temporary directory, whose disposal removes it. */
  takeTree(digest: string, temporary: string): Promise<void>;
  /** Removes what processes that have ended left behind. */
  clearAbandoned(): Promise<void>;
}

/** Opens or makes the store and clears what processes that have ended left in it. */
export async function openShelf(directory: string): Promise<Shelf> {
  const at = (...parts: string[]) => join(directory, ...parts);
  const owner = await processMark();
  for (const name of [".", "trees", "refs", "tmp", "locks", "pins"]) {
    await mkdir(at(name), { recursive: true, mode: 0o700 });
    // Set-uid files of an image must be out of every other host user's reach, so the gate is closed here.
    await chmod(at(name), 0o700);
  }
  const pins = openPins(at("pins"), owner);
  const refFile = (reference: string) => at("refs", `${createHash("sha256").update(reference).digest("hex")}.json`);
  const tree = (digest: string) => at("trees", digest.slice("sha256:".length));
  const doomed = (digest: string) => join(tree(digest), "doomed");

  async function read(file: string): Promise<ImageRecord | undefined> {
    try {
      return record.parse(JSON.parse(await readFile(file, "utf8")));
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw new Error(`the image record ${basename(file)} is damaged; remove it and pull again`, { cause: error });
    }
  }

  const shelf: Shelf = {
    locks: at("locks"),
    pins,
    rootfsPath: (digest) => join(tree(digest), "rootfs"),
    hasTree: (digest) => existsSync(join(tree(digest), "rootfs")) && !existsSync(doomed(digest)),
    find: (reference) => read(refFile(reference)),
    async list() {
      const files = (await readdir(at("refs"))).filter((name) => name.endsWith(".json"));
      const records = await Promise.all(
        files.map(async (name) => {
          const found = await read(at("refs", name));
          const times = await stat(at("refs", name)).catch(() => undefined);
          return found && times && { ...found, lastUsedAtMs: Math.round(times.mtimeMs) };
        }),
      );
      return records.filter((found) => found !== undefined).sort((a, b) => (a.reference < b.reference ? -1 : 1));
    },
    async put(value) {
      await using temporary = await shelf.temporary();
      const file = join(temporary.path, "record.json");
      {
        await using handle = await open(file, "wx", 0o600);
        await handle.writeFile(`${JSON.stringify(value)}\n`);
        await handle.utimes(value.createdAtMs / 1000, value.createdAtMs / 1000);
        await handle.sync();
      }
      await rename(file, refFile(value.reference));
    },
    drop: (reference) => rm(refFile(reference), { force: true }),
    async touch(reference, nowMs) {
      await utimes(refFile(reference), nowMs / 1000, nowMs / 1000).catch((error: unknown) => {
        if (!isNotFound(error)) throw error;
      });
    },
    async temporary() {
      const path = await mkdtemp(at("tmp", `${owner}.`)); // Mode 0700.
      return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
    },
    async adoptTree(digest, temporary) {
      shelf.spare(digest);
      if (shelf.hasTree(digest)) return;
      const staged = join(temporary, "tree");
      await mkdir(staged, { mode: 0o700 });
      await rename(join(temporary, "rootfs"), join(staged, "rootfs"));
      await rename(staged, tree(digest));
    },
    trees: async () => (await readdir(at("trees"))).map((hex) => `sha256:${hex}`),
    doom: (digest) => writeFileSync(doomed(digest), ""),
    spare: (digest) => rmSync(doomed(digest), { force: true }),
    takeTree: (digest, temporary) => rename(tree(digest), join(temporary, digest.slice("sha256:".length))),
    async clearAbandoned() {
      for (const name of await readdir(at("tmp"))) {
        if (!(await isAlive(name))) await rm(at("tmp", name), { recursive: true, force: true });
      }
      await pins.clearAbandoned();
    },
  };
  await shelf.clearAbandoned();
  return shelf;
}
