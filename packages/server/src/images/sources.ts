import { open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { StacyError } from "@stacyvm/contract";
import { imageBounds } from "./bounds.ts";
import { runTool } from "./run-tool.ts";

/** The tag under which an image stands in a layout that is only passed through. */
export const layoutTag = "image";

type Kind = "oci-directory" | "oci-archive" | "docker-archive" | "rootfs";

/** Brings a file or directory of a user into an OCI layout. Throws invalid_input when it is none of the known kinds. */
export async function layoutFromSource(source: string, layout: string, signal: AbortSignal): Promise<void> {
  const kind = await kindOf(source, signal);
  const timeoutMs = imageBounds.unpackTimeoutMs;
  if (kind === "rootfs") {
    await runTool({ argv: ["umoci", "init", "--layout", layout], timeoutMs, signal });
    await runTool({ argv: ["umoci", "new", "--image", `${layout}:${layoutTag}`], timeoutMs, signal });
    const plain = await plainTar(source, `${layout}.tar`, signal);
    await runTool({
      argv: ["umoci", "raw", "add-layer", "--image", `${layout}:${layoutTag}`, plain],
      timeoutMs,
      signal,
    });
    return;
  }
  const transport = { "oci-directory": "oci", "oci-archive": "oci-archive", "docker-archive": "docker-archive" }[kind];
  await runTool({
    argv: ["skopeo", "copy", "--insecure-policy", `${transport}:${source}`, `oci:${layout}:${layoutTag}`],
    timeoutMs,
    signal,
  });
}

async function kindOf(source: string, signal: AbortSignal): Promise<Kind> {
  const info = await stat(source).catch((cause: unknown) => {
    throw new StacyError("invalid_input", `invalid input: ${source} can't be read`, { cause });
  });
  if (info.isDirectory()) {
    if ((await readdir(source)).includes("oci-layout")) return "oci-directory";
    throw notAnImage(source);
  }
  if (!info.isFile()) throw notAnImage(source);
  const names = new Set<string>();
  const listing = await runTool({
    argv: ["tar", "--list", "--file", source],
    timeoutMs: imageBounds.unpackTimeoutMs,
    signal,
    env: { TAR_OPTIONS: "" },
  }).catch((cause: unknown) => {
    signal.throwIfAborted();
    throw notAnImage(source, cause);
  });
  for (const name of listing.split("\n")) names.add(name.replace(/^\.\//, ""));
  if (names.has("oci-layout") && names.has("index.json")) return "oci-archive";
  if (names.has("manifest.json")) return "docker-archive";
  return "rootfs";
}

function notAnImage(source: string, cause?: unknown): StacyError {
  return new StacyError(
    "invalid_input",
    `invalid input: ${source} is neither a root file system tar, an OCI layout nor a Docker archive`,
    {
      ...(cause === undefined ? {} : { cause }),
    },
  );
}

const magic: readonly (readonly [string, readonly number[]])[] = [
  ["gzip", [0x1f, 0x8b]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a]],
];

/** The path of the same tar without compression. */
async function plainTar(source: string, target: string, signal: AbortSignal): Promise<string> {
  const file = await open(source);
  const head = Buffer.alloc(6);
  try {
    await file.read(head, 0, head.length, 0);
  } finally {
    await file.close();
  }
  const found = magic.find(([, bytes]) => bytes.every((byte, at) => head[at] === byte));
  if (found === undefined) return source;
  const { decompressTo } = await import("./decompress.ts");
  await decompressTo(found[0], source, target, signal);
  return target;
}

/** Debian's suite of this host. */
export async function hostSuite(): Promise<string> {
  const { readFile } = await import("node:fs/promises");
  const release = await readFile(join("/etc", "os-release"), "utf8");
  const suite = /^VERSION_CODENAME="?([a-z]+)"?$/m.exec(release)?.[1];
  if (suite === undefined) {
    throw new StacyError("invalid_input", "invalid input: this host is no Debian or Ubuntu; name a suite");
  }
  return suite;
}
