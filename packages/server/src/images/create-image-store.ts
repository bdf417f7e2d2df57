import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { StacyError } from "@stacyvm/contract";
import type { Clock } from "../lib/clock.ts";
import { imageBounds } from "./bounds.ts";
import { imageIndex } from "./image-index.ts";
import type { ImageRoot, ImageStore, OnProgress, StoredImage } from "./image-store.ts";
import { normaliseReference, parseReference } from "./references.ts";
import { runTool, ToolFailure } from "./run-tool.ts";
import { hostSuite, layoutFromSource, layoutTag } from "./sources.ts";
import { type Unpacked, unpackLayout, withTemporary } from "./unpack.ts";

export interface ImageStoreOptions {
  readonly storeDir: string;
  /** Requested name to the name that stands for it. */
  readonly aliases: Readonly<Record<string, string>>;
  readonly clock: Clock;
}

/** What every base has beside the essential packages. */
const basePackages = ["ca-certificates", "procps"];

const importHint = "Bring it in with: stacyvm image import <name> <file>";

/** Images of this host, unpacked once per content and shared read-only by every sandbox. */
export async function createImageStore(options: ImageStoreOptions): Promise<ImageStore> {
  const index = imageIndex(options.storeDir);
  await index.prepare();
  const aliases = new Map(
    Object.entries(options.aliases).map(([from, to]) => [normaliseReference(from), normaliseReference(to)]),
  );
  const pulls = new Map<string, Promise<StoredImage>>();

  const save = (reference: string, unpacked: Unpacked, source: StoredImage["source"]) =>
    index.save({ reference, ...unpacked, env: { ...unpacked.env }, createdAtMs: options.clock.now(), source });

  const fetch = (reference: string, signal: AbortSignal, onProgress: OnProgress | undefined): Promise<StoredImage> =>
    withTemporary(index, async (dir) => {
      onProgress?.({ phase: "resolve", message: reference });
      const layout = join(dir, "layout");
      const { registry, repository, tag, digest } = parseReference(reference);
      const named = `${registry}/${repository}${digest === undefined ? `:${tag}` : `@${digest}`}`;
      await runTool({
        argv: [
          "skopeo",
          "copy",
          "--insecure-policy",
          ...plainHttp(registry),
          `docker://${named}`,
          `oci:${layout}:${layoutTag}`,
        ],
        timeoutMs: imageBounds.pullTimeoutMs,
        signal,
        onLine: (message) => onProgress?.({ phase: "download", message }),
      }).catch((error: unknown) => {
        signal.throwIfAborted();
        throw pullFailure(reference, error);
      });
      onProgress?.({ phase: "unpack", message: reference });
      const unpacked = await unpackLayout(index, layout, layoutTag, dir, signal);
      const stored = await save(reference, unpacked, "pull");
      onProgress?.({ phase: "done", message: stored.digest });
      return stored;
    });

  /** One pull per image, however many ask; it goes on while anybody still waits. */
  const pullOnce = (reference: string, signal: AbortSignal, onProgress?: OnProgress): Promise<StoredImage> => {
    let pull = pulls.get(reference);
    if (pull === undefined) {
      pull = fetch(reference, AbortSignal.timeout(imageBounds.pullTimeoutMs), onProgress).finally(() =>
        pulls.delete(reference),
      );
      pulls.set(reference, pull);
    }
    return abandonable(pull, signal);
  };

  const importFrom: ImageStore["importFrom"] = async (name, source, signal, onProgress) => {
    const reference = normaliseReference(name);
    return await withTemporary(index, async (dir) => {
      onProgress?.({ phase: "unpack", message: source });
      const layout = join(dir, "layout");
      await layoutFromSource(source, layout, signal);
      const unpacked = await unpackLayout(index, layout, layoutTag, dir, signal);
      return await save(reference, unpacked, "import");
    });
  };

  return {
    async ensure(name, signal, onProgress): Promise<ImageRoot> {
      const asked = normaliseReference(name);
      const reference = aliases.get(asked) ?? asked;
      const known = await index.find(reference);
      if (known !== undefined) return known;
      await pullOnce(reference, signal, onProgress);
      const pulled = await index.find(reference);
      if (pulled === undefined) throw new StacyError("image_not_found", `image not found: ${reference}`);
      return pulled;
    },
    pull: (name, signal, onProgress) => pullOnce(normaliseReference(name), signal, onProgress),
    importFrom,
    async buildBase(name, { suite }, signal, onProgress) {
      const reference = normaliseReference(name);
      return await withTemporary(index, async (dir) => {
        const tar = join(dir, "base.tar");
        await runTool({
          argv: [
            "mmdebstrap",
            "--variant=minbase",
            `--include=${basePackages.join(",")}`,
            "--dpkgopt=path-exclude=/usr/share/doc/*",
            "--dpkgopt=path-exclude=/usr/share/man/*",
            "--dpkgopt=path-exclude=/usr/share/locale/*",
            suite ?? (await hostSuite()),
            tar,
          ],
          timeoutMs: imageBounds.buildBaseTimeoutMs,
          signal,
          onLine: (message) => onProgress?.({ phase: "download", message }),
        });
        onProgress?.({ phase: "unpack", message: reference });
        const layout = join(dir, "layout");
        await layoutFromSource(tar, layout, signal);
        return await save(reference, await unpackLayout(index, layout, layoutTag, dir, signal), "build-base");
      });
    },
    list: () => index.list(),
    async remove(name, inUse) {
      const reference = normaliseReference(name);
      const image = await index.find(reference);
      if (image === undefined) throw new StacyError("image_not_found", `image not found: ${reference}`);
      if (await inUse(image.digest)) {
        throw new StacyError("state_conflict", `image ${reference} is in use by a sandbox`);
      }
      await index.forget(reference);
      const others = await index.list();
      if (!others.some((other) => other.digest === image.digest)) {
        await rm(index.treePath(image.digest), { recursive: true, force: true });
      }
    },
  };
}

/** Removes what a process that died left half made. Only for the one server that owns the directory. */
export async function cleanImageStore(storeDir: string): Promise<void> {
  const { tmpDir } = imageIndex(storeDir);
  for (const name of await readdir(tmpDir).catch(() => [])) {
    const pid = Number(name.split("-")[0]);
    if (!isAlive(pid)) await rm(join(tmpDir, name), { recursive: true, force: true });
  }
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

/** A registry on this host is spoken to without TLS, as every tool of the field does. */
const plainHttp = (registry: string): readonly string[] =>
  /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:|$)/.test(registry) ? ["--src-tls-verify=false"] : [];

/** The shared work's result, or the signal's reason for the one who left. */
const abandonable = <T>(work: Promise<T>, signal: AbortSignal): Promise<T> => {
  const left = Promise.withResolvers<never>();
  const leave = () => left.reject(signal.reason);
  if (signal.aborted) leave();
  signal.addEventListener("abort", leave);
  left.promise.catch(() => {});
  return Promise.race([work, left.promise]).finally(() => signal.removeEventListener("abort", leave));
};

const pullFailure = (reference: string, error: unknown): StacyError => {
  const output = error instanceof ToolFailure ? error.output : "";
  const absent = /manifest unknown|name unknown|not found|requested access to the resource is denied/.test(output);
  return absent
    ? new StacyError("image_not_found", `image not found: ${reference}`, { cause: error, remediation: importHint })
    : new StacyError("image_pull_failed", `image ${reference} could not be pulled: its registry does not answer`, {
        cause: error,
        remediation: importHint,
      });
};
