import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { ImageRoot, StoredImage } from "./image-store.ts";

const Stored = z.strictObject({
  reference: z.string(),
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  sizeBytes: z.int(),
  createdAtMs: z.int(),
  source: z.enum(["pull", "import", "build-base"]),
  env: z.record(z.string(), z.string()),
});
type Stored = z.output<typeof Stored>;

/** Where things are: `trees/<hex>/rootfs`, `refs/<hash of the reference>.json`, `tmp/`. */
export const imageIndex = (storeDir: string) => {
  const refPath = (reference: string) =>
    join(storeDir, "refs", `${createHash("sha256").update(reference).digest("hex")}.json`);
  const treePath = (digest: string) => join(storeDir, "trees", digest.replace(":", "-"));

  const read = async (path: string): Promise<Stored | undefined> => {
    try {
      return Stored.parse(JSON.parse(await readFile(path, "utf8")));
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
      throw error;
    }
  };
  const publicOf = ({ env: _, ...image }: Stored): StoredImage => image;

  return {
    treePath,
    tmpDir: join(storeDir, "tmp"),
    /** Makes the directories; sandboxes' unprivileged uids must be able to pass through to a tree. */
    async prepare(): Promise<void> {
      for (const name of ["trees", "refs", "tmp"]) await mkdir(join(storeDir, name), { recursive: true, mode: 0o711 });
    },
    async find(reference: string): Promise<(ImageRoot & { readonly stored: StoredImage }) | undefined> {
      const stored = await read(refPath(reference));
      if (stored === undefined) return undefined;
      const { digest, env } = stored;
      return { digest, env, rootfsPath: join(treePath(digest), "rootfs"), stored: publicOf(stored) };
    },
    async save(stored: Stored): Promise<StoredImage> {
      const path = refPath(stored.reference);
      const fresh = `${path}.${process.pid}.new`;
      await writeFile(fresh, JSON.stringify(stored));
      await rename(fresh, path);
      return publicOf(stored);
    },
    async list(): Promise<readonly StoredImage[]> {
      const names = (await readdir(join(storeDir, "refs")).catch(() => [])).filter((name) => name.endsWith(".json"));
      const all = await Promise.all(names.map((name) => read(join(storeDir, "refs", name))));
      return all
        .filter((stored) => stored !== undefined)
        .map(publicOf)
        .sort((a, b) => (a.reference < b.reference ? -1 : 1));
    },
    async forget(reference: string): Promise<void> {
      await rm(refPath(reference), { force: true });
    },
  };
};

export type ImageIndex = ReturnType<typeof imageIndex>;
