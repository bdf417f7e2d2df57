import { createHash } from "node:crypto";
import { chmod, mkdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { uniqueName } from "../lib/id.ts";
import { imageBounds } from "./bounds.ts";
import type { ImageIndex } from "./image-index.ts";
import { runTool } from "./run-tool.ts";

export interface Unpacked {
  readonly digest: string;
  readonly env: Readonly<Record<string, string>>;
  readonly sizeBytes: number;
}

/** A directory for half-made things, gone afterwards whatever happens. */
export async function withTemporary<T>(index: ImageIndex, work: (dir: string) => Promise<T>): Promise<T> {
  const dir = join(index.tmpDir, `${process.pid}-${uniqueName()}`);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  try {
    return await work(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/**
 * Unpacks an image of an OCI layout once per content: beside the trees first, then renamed into place, so that what
 * stands there is whole. The unpacker resolves every name inside the new root; device nodes can't be made to matter,
 * because a sandbox's mount refuses devices.
 */
export async function unpackLayout(
  index: ImageIndex,
  layout: string,
  tag: string,
  dir: string,
  signal: AbortSignal,
): Promise<Unpacked> {
  const digest = await manifestDigest(layout, tag);
  const timeoutMs = imageBounds.unpackTimeoutMs;
  const config = await runTool({ argv: ["skopeo", "inspect", "--config", `oci:${layout}:${tag}`], timeoutMs, signal });
  const env = imageEnv(config);
  const rootfs = join(dir, "tree", "rootfs");
  await mkdir(join(dir, "tree"), { mode: 0o711 });
  await runTool({ argv: ["umoci", "raw", "unpack", "--image", `${layout}:${tag}`, rootfs], timeoutMs, signal });
  await chmod(rootfs, 0o755);
  const measured = await runTool({ argv: ["du", "--summarize", "--block-size=1", rootfs], timeoutMs, signal });
  try {
    await rename(join(dir, "tree"), index.treePath(digest));
  } catch (error) {
    // Somebody else unpacked the same content meanwhile: theirs is as good.
    if (!(error instanceof Error && "code" in error && (error.code === "ENOTEMPTY" || error.code === "EEXIST"))) {
      throw error;
    }
  }
  return { digest, env, sizeBytes: Number.parseInt(measured, 10) };
}

async function manifestDigest(layout: string, tag: string): Promise<string> {
  const index: unknown = JSON.parse(await readFile(join(layout, "index.json"), "utf8"));
  const manifests = (index as { manifests?: { digest?: string; annotations?: Record<string, string> }[] }).manifests;
  const entry = manifests?.find((each) => each.annotations?.["org.opencontainers.image.ref.name"] === tag);
  const digest = entry?.digest ?? "";
  if (!/^sha256:[0-9a-f]{64}$/.test(digest)) throw new Error("the image layout names no manifest");
  const bytes = await readFile(join(layout, "blobs", "sha256", digest.slice(7)));
  if (`sha256:${createHash("sha256").update(bytes).digest("hex")}` !== digest) {
    throw new Error("the manifest is not what its digest says");
  }
  return digest;
}

/** The environment that an image's configuration asks for, within bounds. */
export function imageEnv(configJson: string): Readonly<Record<string, string>> {
  const config = JSON.parse(configJson) as { config?: { Env?: unknown } };
  const entries = Array.isArray(config.config?.Env) ? config.config.Env : [];
  const env: Record<string, string> = {};
  let bytes = 0;
  for (const entry of entries.slice(0, imageBounds.envEntries)) {
    if (typeof entry !== "string" || entry.includes("\0")) continue;
    const at = entry.indexOf("=");
    bytes += Buffer.byteLength(entry);
    if (at > 0 && bytes <= imageBounds.envBytes && !entry.startsWith("__proto__"))
      env[entry.slice(0, at)] = entry.slice(at + 1);
  }
  return env;
}
