import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { z } from "zod";
import { isNotFound } from "./errno.ts";
import type { StoredImage } from "./image-store.ts";

const record = z.object({
  reference: z.string(),
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  sizeBytes: z.number(),
  createdAtMs: z.number(),
  source: z.enum(["pull", "import", "build-base"]),
  env: z.record(z.string(), z.string()),
});

export interface ImageRecord extends StoredImage {
  readonly env: Readonly<Record<string, string>>;
}

/**
 * The store's directory: `trees/<hex>/rootfs`, `refs/<hash of the reference>.json`, `locks/`, `tmp/`. What has its
 * final name is whole: trees and records are made under tmp/, flushed, and renamed.
 */
export interface Shelf {
  readonly locks: string;
  rootfsPath(digest: string): string;
  hasTree(digest: string): boolean;
  find(reference: string): Promise<ImageRecord | undefined>;
  list(): Promise<readonly ImageRecord[]>;
  put(record: ImageRecord): Promise<void>;
  drop(reference: string): Promise<void>;
  /** An empty directory of this process, for `await using`. */
  temporary(): Promise<AsyncDisposable & { readonly path: string }>;
  /** Gives an unpacked `rootfs` in a temporary directory its final name, unless the tree is there already. */
  adoptTree(digest: string, temporary: string): Promise<void>;
  /** Digests of the trees there are. */
  trees(): Promise<readonly string[]>;
  removeTree(digest: string): Promise<void>;
}

/** Opens or makes the store and clears what processes that have ended left in tmp/. */
export async function openShelf(directory: string): Promise<Shelf> {
  const at = (...parts: string[]) => join(directory, ...parts);
  const owner = `${process.pid}.${await startTime(process.pid)}`;
  for (const name of [".", "trees", "refs", "tmp", "locks"]) {
    await mkdir(at(name), { recursive: true, mode: 0o700 });
    // Set-uid files of an image must be out of every other host user's reach, so the gate is closed here.
    await chmod(at(name), 0o700);
  }
  await clearAbandoned(at("tmp"));
  const refFile = (reference: string) => at("refs", `${createHash("sha256").update(reference).digest("hex")}.json`);
  const tree = (digest: string) => at("trees", digest.slice("sha256:".length));

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
    rootfsPath: (digest) => join(tree(digest), "rootfs"),
    hasTree: (digest) => existsSync(join(tree(digest), "rootfs")),
    find: (reference) => read(refFile(reference)),
    async list() {
      const files = (await readdir(at("refs"))).filter((name) => name.endsWith(".json"));
      const records = await Promise.all(files.map((name) => read(at("refs", name))));
      return records.filter((found) => found !== undefined).sort((a, b) => (a.reference < b.reference ? -1 : 1));
    },
    async put(value) {
      await using temporary = await shelf.temporary();
      const file = join(temporary.path, "record.json");
      {
        await using handle = await open(file, "wx", 0o600);
        await handle.writeFile(`${JSON.stringify(value)}\n`);
        await handle.sync();
      }
      await rename(file, refFile(value.reference));
    },
    drop: (reference) => rm(refFile(reference), { force: true }),
    async temporary() {
      const path = await mkdtemp(at("tmp", `${owner}.`)); // Mode 0700.
      return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
    },
    async adoptTree(digest, temporary) {
      if (shelf.hasTree(digest)) return;
      const staged = join(temporary, "tree");
      await mkdir(staged, { mode: 0o700 });
      await rename(join(temporary, "rootfs"), join(staged, "rootfs"));
      await rename(staged, tree(digest));
    },
    trees: async () => (await readdir(at("trees"))).map((hex) => `sha256:${hex}`),
    async removeTree(digest) {
      await using temporary = await shelf.temporary();
      // Renamed first: a half-removed tree never carries its final name.
      await rename(tree(digest), join(temporary.path, "tree")).catch((error: unknown) => {
        if (!isNotFound(error)) throw error;
      });
    },
  };
  return shelf;
}

async function clearAbandoned(tmp: string): Promise<void> {
  for (const name of await readdir(tmp)) {
    const [pid, started] = name.split(".");
    const alive = (await startTime(Number(pid)).catch(() => undefined)) === started && started !== undefined;
    if (!alive) await rm(join(tmp, name), { recursive: true, force: true });
  }
}

/** Field 22 of /proc/<pid>/stat: with the pid it names one process of this boot. */
async function startTime(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}
