import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { archiveKind, rootfsImage, savedImage, sourceKind } from "./archive.ts";
import type { LayeredImage } from "./layered-image.ts";
import { imageOfIndex, layoutBlobs, readDocument } from "./oci-layout.ts";

export interface ImportOptions {
  /** Path on this host: a root file system tar, an OCI layout (directory or tar) or a Docker archive. */
  readonly source: string;
  readonly workDir: string;
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

/** Which it is, is told by its content; tars may be compressed with gzip, zstd or xz. */
export async function importImage({ source, workDir, maxBytes, signal }: ImportOptions): Promise<LayeredImage> {
  if ((await sourceKind(source)) === "directory") {
    return await imageOfIndex(await readDocument(join(source, "index.json")), layoutBlobs(source));
  }
  if ((await archiveKind(source, signal)) === "rootfs") return rootfsImage(source, signal);
  const parts = join(workDir, "parts");
  await mkdir(parts, { mode: 0o700 });
  return await savedImage(source, parts, maxBytes, signal);
}
