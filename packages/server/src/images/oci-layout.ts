import { constants, open } from "node:fs/promises";
import { arch } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { imageBounds } from "./bounds.ts";
import { boundedEnv, verifiedDocument } from "./documents.ts";
import { fileBytes } from "./file-bytes.ts";
import type { LayeredImage } from "./layered-image.ts";

const descriptor = z.object({
  mediaType: z.string().default(""),
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  platform: z.object({ os: z.string(), architecture: z.string() }).optional(),
});
const index = z.object({ manifests: z.array(descriptor).max(imageBounds.archiveFiles) });
const manifest = z.object({ config: descriptor, layers: z.array(descriptor).max(imageBounds.layers) });
const config = z.object({
  config: z.object({ Env: z.array(z.string()).nullish() }).nullish(),
  rootfs: z.object({ diff_ids: z.array(z.string()).max(imageBounds.layers) }),
});

const architectures: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64", arm: "arm", ia32: "386" };

/** Where an image's blobs are: bytes by digest, never followed through a symbolic link. */
export interface Blobs {
  /** A whole small document; throws where it is absent or larger than the bound. */
  document(digest: string): Promise<Buffer>;
  stream(digest: string): AsyncIterable<Buffer>;
}

/** The blobs of an OCI layout directory. */
export function layoutBlobs(directory: string): Blobs {
  const path = (digest: string) => join(directory, "blobs", "sha256", digest.slice("sha256:".length));
  return {
    document: (digest) => readDocument(path(digest)),
    stream: (digest) => fileBytes(path(digest), { flags: constants.O_RDONLY | constants.O_NOFOLLOW }),
  };
}

/** A regular file of at most `imageBounds.documentBytes`. */
export async function readDocument(path: string): Promise<Buffer> {
  await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  const stat = await file.stat();
  if (!stat.isFile()) throw new Error("a document of the image is not a regular file");
  if (stat.size > imageBounds.documentBytes) throw new Error("a document of the image is too large");
  return await file.readFile();
}

/** The image for this machine's architecture that an index names; nested indexes are followed once each. */
export async function imageOfIndex(indexBytes: Buffer, blobs: Blobs): Promise<LayeredImage> {
  let entries = index.parse(JSON.parse(indexBytes.toString("utf8"))).manifests;
  for (let depth = 0; depth < 4; depth++) {
    const chosen = choose(entries);
    const bytes = await verifiedDocument(blobs, chosen.digest);
    const document: unknown = JSON.parse(bytes.toString("utf8"));
    const nested = index.safeParse(document);
    if (nested.success) {
      entries = nested.data.manifests;
      continue;
    }
    return await imageOfManifest(manifest.parse(document), blobs);
  }
  throw new Error("its indexes are nested too deeply");
}

function choose(entries: readonly z.infer<typeof descriptor>[]): z.infer<typeof descriptor> {
  const architecture = architectures[arch()] ?? arch();
  const fitting = entries.filter(
    ({ platform }) => platform === undefined || (platform.os === "linux" && platform.architecture === architecture),
  );
  const [only, another] = fitting;
  if (only === undefined) throw new Error(`it has no image for linux/${architecture}`);
  if (another !== undefined && only.digest !== another.digest) throw new Error("it holds more than one image");
  return only;
}

async function imageOfManifest(parsed: z.infer<typeof manifest>, blobs: Blobs): Promise<LayeredImage> {
  const bytes = await verifiedDocument(blobs, parsed.config.digest);
  const { config: settings, rootfs } = config.parse(JSON.parse(bytes.toString("utf8")));
  if (rootfs.diff_ids.length !== parsed.layers.length) throw new Error("its manifest and configuration disagree");
  const layers = parsed.layers.map(({ digest }, i) => ({
    open: () => blobs.stream(digest),
    blobDigest: digest,
    diffId: rootfs.diff_ids[i],
  }));
  return { layers, env: boundedEnv(settings?.Env ?? []) };
}
