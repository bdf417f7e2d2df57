import { createWriteStream } from "node:fs";
import { constants, open, stat } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { z } from "zod";
import { imageBounds } from "./bounds.ts";
import { boundedEnv } from "./documents.ts";
import { fileBytes } from "./file-bytes.ts";
import type { Layer, LayeredImage } from "./layered-image.ts";
import { imageOfIndex, readDocument } from "./oci-layout.ts";
import { decompress } from "./tar/decompress.ts";
import { readTar } from "./tar/read.ts";
import { HostileArchiveError } from "./tar/sanitise.ts";

export type ArchiveKind = "rootfs" | "image";

const imageMember =
  /^(?:oci-layout|index\.json|manifest\.json|repositories|blobs(?:\/.*)?|[0-9a-f]{64}(?:\.json|\.tar|\/.*)?)$/;

/** The plain bytes of a file, decompressed by its content. */
export const plainBytes = (path: string, signal: AbortSignal): AsyncIterable<Buffer> =>
  decompress(fileBytes(path, { signal }), signal);

/** A saved image (OCI or Docker) names only its own parts; any other name makes the tar a root file system. */
export async function archiveKind(path: string, signal: AbortSignal): Promise<ArchiveKind> {
  let sawIndex = false;
  for await (const { header } of readTar(plainBytes(path, signal))) {
    const name = memberName(header.name);
    if (name === "") continue;
    if (!imageMember.test(name)) return "rootfs";
    if (name === "index.json" || name === "manifest.json") sawIndex = true;
  }
  return sawIndex ? "image" : "rootfs";
}

const memberName = (name: string) => name.replace(/^(?:\.?\/)+/, "").replace(/\/+$/, "");

/** A root file system as one layer. */
export function rootfsImage(path: string, signal: AbortSignal): LayeredImage {
  const layer: Layer = {
    open: () => fileBytes(path, { signal }),
    blobDigest: undefined,
    diffId: undefined,
  };
  return { layers: [layer], env: {} };
}

/** The parts of a saved image, spread out as numbered files: no name of the archive reaches the host's file system. */
export async function savedImage(
  path: string,
  workDir: string,
  maxBytes: number,
  signal: AbortSignal,
): Promise<LayeredImage> {
  const members = new Map<string, { file: string } | { link: string }>();
  let bytes = 0;
  for await (const { header, body } of readTar(plainBytes(path, signal))) {
    if (members.size >= imageBounds.archiveFiles) throw new HostileArchiveError("it has too many files");
    const name = memberName(header.name);
    if (header.type === "symlink" || header.type === "hardlink") {
      members.set(name, { link: linkTarget(name, header.type, header.linkName) });
    }
    if (header.type !== "file") continue;
    bytes += header.sizeBytes;
    if (bytes > maxBytes) throw new HostileArchiveError("it is larger than the limit for one image");
    const file = join(workDir, `member-${members.size}`);
    await pipeline(Readable.from(body, { objectMode: false }), createWriteStream(file, { flags: "wx", mode: 0o600 }), {
      signal,
    });
    members.set(name, { file });
  }
  const find = (name: string): string => {
    let found = members.get(name);
    // `docker save` shares equal layers by a link; more than one hop is none of its habits.
    if (found !== undefined && "link" in found) found = members.get(found.link);
    if (found === undefined || "link" in found)
      throw new Error(`its part ${JSON.stringify(name.slice(0, 100))} is missing`);
    return found.file;
  };
  if (members.has("index.json") && members.has("oci-layout")) {
    const blob = (digest: string) => find(`blobs/sha256/${digest.slice("sha256:".length)}`);
    return await imageOfIndex(await readDocument(find("index.json")), {
      document: async (digest) => await readDocument(blob(digest)),
      stream: (digest) => fileBytes(blob(digest), { signal }),
    });
  }
  return await dockerImage(find, signal);
}

function linkTarget(name: string, type: "symlink" | "hardlink", target: string): string {
  if (type === "hardlink") return memberName(target);
  const directory = name.includes("/") ? name.slice(0, name.lastIndexOf("/")) : "";
  return new URL(target, `file:///${directory}/`).pathname.slice(1);
}

const dockerManifest = z.array(z.object({ Config: z.string(), Layers: z.array(z.string()).max(imageBounds.layers) }));
const dockerConfig = z.object({
  config: z.object({ Env: z.array(z.string()).nullish() }).nullish(),
  rootfs: z.object({ diff_ids: z.array(z.string()).max(imageBounds.layers) }),
});

async function dockerImage(find: (name: string) => string, signal: AbortSignal): Promise<LayeredImage> {
  const images = dockerManifest.parse(JSON.parse((await readDocument(find("manifest.json"))).toString("utf8")));
  const [only, another] = images;
  if (only === undefined || another !== undefined)
    throw new Error(`it holds ${images.length} images; save exactly one`);
  const { config, rootfs } = dockerConfig.parse(JSON.parse((await readDocument(find(only.Config))).toString("utf8")));
  if (rootfs.diff_ids.length !== only.Layers.length) throw new Error("its manifest and configuration disagree");
  const layers = only.Layers.map((name, i) => {
    const file = find(name);
    return {
      open: () => fileBytes(file, { signal }),
      blobDigest: undefined,
      diffId: rootfs.diff_ids[i],
    };
  });
  return { layers, env: boundedEnv(config?.Env ?? []) };
}

/** What a path on this host holds. Throws the errno error where it can't be read. */
export async function sourceKind(path: string): Promise<"directory" | "file"> {
  await using handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK); // A FIFO must not hold us.
  const found = await handle.stat();
  if (found.isDirectory()) {
    await stat(join(path, "index.json"));
    return "directory";
  }
  if (!found.isFile()) throw new Error("it is neither a regular file nor a directory");
  return "file";
}
