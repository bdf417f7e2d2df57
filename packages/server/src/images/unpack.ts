import { createHash } from "node:crypto";
import { chmod, chown, copyFile, mkdir, realpath, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { findProgram } from "../lib/find-program.ts";
import { imageBounds } from "./bounds.ts";
import type { LayeredImage } from "./layered-image.ts";
import { runTool, ToolError } from "./run-tool.ts";
import { fullBudget, normaliseLayer } from "./tar/normalise.ts";

export interface UnpackedImage {
  /** Hex of the address: the digest of a configuration that names nothing but the normalised layers. */
  readonly hex: string;
}

export interface UnpackOptions {
  readonly image: LayeredImage;
  /** An existing empty directory of ours; on success it holds `rootfs`, and what else was needed is gone again. */
  readonly workDir: string;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  readonly maxUnpackedBytes: number;
  /** Asked once the address is known; true skips the unpacking because the store has that tree. */
  readonly exists: (hex: string) => Promise<boolean>;
}

const isRoot = process.getuid?.() === 0;

/** What umoci needs to give files their owners and modes; without CAP_MKNOD no device can come about. */
const capabilities = "-all,+chown,+dac_override,+fowner,+fsetid,+sys_chroot";

/**
 * Layers become one tree: each is written anew as a plain, harmless tar, then umoci unpacks them in a chroot that holds
 * nothing but itself and its input, with four file capabilities and no way to gain more.
 */
export async function unpackImage(options: UnpackOptions): Promise<UnpackedImage> {
  const { image, workDir, signal } = options;
  if (image.layers.length > imageBounds.layers)
    throw new RangeError(`an image has at most ${imageBounds.layers} layers`);
  const jail = join(workDir, "jail");
  const blobs = join(jail, "oci", "blobs", "sha256");
  await mkdir(blobs, { recursive: true, mode: 0o700 });

  const budget = fullBudget(options.maxUnpackedBytes);
  const layers = [];
  for (const layer of image.layers) {
    const temporary = join(workDir, "layer");
    const normal = await normaliseLayer(layer, temporary, budget, signal);
    await rename(temporary, join(blobs, normal.hex));
    layers.push({ mediaType: layerType, digest: `sha256:${normal.hex}`, size: normal.sizeBytes });
  }
  const hex = await writeOciLayout(join(jail, "oci"), blobs, layers);

  if (!(await options.exists(hex))) {
    await unpackInJail(jail, options);
    const rootfs = join(workDir, "rootfs");
    await rename(join(jail, "rootfs"), rootfs);
    if (isRoot) await chown(rootfs, 0, 0);
    await chmod(rootfs, 0o755);
  }
  await rm(jail, { recursive: true, force: true });
  return { hex };
}

const layerType = "application/vnd.oci.image.layer.v1.tar";
const configType = "application/vnd.oci.image.config.v1+json";
const manifestType = "application/vnd.oci.image.manifest.v1+json";

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** Returns the hex digest of the configuration, which depends on the layers' content alone. */
async function writeOciLayout(oci: string, blobs: string, layers: readonly Descriptor[]): Promise<string> {
  async function blob(mediaType: string, document: unknown): Promise<Descriptor> {
    const bytes = Buffer.from(JSON.stringify(document));
    const hex = createHash("sha256").update(bytes).digest("hex");
    await writeFile(join(blobs, hex), bytes, { mode: 0o600 });
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
  }
  const config = await blob(configType, {
    os: "linux",
    architecture: "unknown",
    config: {},
    rootfs: { type: "layers", diff_ids: layers.map((layer) => layer.digest) },
  });
  const manifest = await blob(manifestType, { schemaVersion: 2, mediaType: manifestType, config, layers });
  const annotations = { "org.opencontainers.image.ref.name": "image" };
  await writeFile(
    join(oci, "index.json"),
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...manifest, annotations }] }),
  );
  await writeFile(join(oci, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  return config.digest.slice("sha256:".length);
}

/**
 * Without root everything falls to this user, and the chroot is one of a user namespace. Where none can be had there is no
 * chroot: what the layers hold has been made harmless before.
 */
async function unpackInJail(jail: string, { signal, timeoutMs }: UnpackOptions): Promise<void> {
  const unprivileged = ["--no-new-privs", "--pdeathsig=KILL", "--"];
  const unpack = (program: string, root: string, ...more: string[]) =>
    [
      program,
      "--log=error",
      "raw",
      "unpack",
      ...more,
      "--image",
      join(root, "oci:image"),
      join(root, "rootfs"),
    ] as const;
  const run = (argv: readonly string[], home: string) =>
    runTool({ argv: ["setpriv", ...argv], signal, timeoutMs, env: { HOME: home, TMPDIR: home } });
  if (!isRoot && !(await canMapUsers(signal))) {
    return await run([...unprivileged, ...unpack(findProgram("umoci"), jail, "--rootless")], jail);
  }
  await placeProgram("umoci", jail, signal);
  const bounded = [`--bounding-set=${capabilities}`, "--inh-caps=-all", ...unprivileged, "chroot", jail];
  const mapped = [...unprivileged, "unshare", "--user", "--map-root-user", "--", "chroot", jail];
  await run(isRoot ? [...bounded, ...unpack("/umoci", "/")] : [...mapped, ...unpack("/umoci", "/", "--rootless")], "/");
}

/** Whether this user may be root of a user namespace. */
const canMapUsers = (signal: AbortSignal): Promise<boolean> =>
  runTool({ argv: ["unshare", "--user", "--map-root-user", "--", "true"], signal, timeoutMs: 10_000 }).then(
    () => true,
    (error: unknown) => {
      if (!(error instanceof ToolError)) throw error;
      return false;
    },
  );

/** Copies a host program and the libraries it is linked with into a directory that will be a root. */
async function placeProgram(name: string, root: string, signal: AbortSignal): Promise<void> {
  const program = findProgram(name);
  await copyFile(program, join(root, name));
  await chmod(join(root, name), 0o755);
  const libraries: string[] = [];
  try {
    await runTool({
      argv: ["ldd", program],
      signal,
      timeoutMs: 10_000,
      onLine: (line) => {
        const path = /(?:=>\s+|^\s*)(\/\S+)\s+\(0x/.exec(line)?.[1];
        if (path !== undefined) libraries.push(path);
      },
    });
  } catch (error) {
    // ldd's way to say that a program is static.
    if (!(error instanceof ToolError && /not a dynamic executable/.test(error.stderr))) throw error;
  }
  for (const library of libraries) {
    await mkdir(join(root, dirname(library)), { recursive: true });
    await copyFile(await realpath(library), join(root, library));
    await chmod(join(root, library), 0o755);
  }
}
