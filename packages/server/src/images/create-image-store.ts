import { StacyError } from "@stacyvm/contract";
import type { Clock } from "../lib/clock.ts";
import { type ImageTimeouts, imageBounds, imageTimeouts } from "./bounds.ts";
import { buildBase } from "./build-base.ts";
import { asImportFailure } from "./failures.ts";
import type { ImageRoot, ImageStore, OnProgress, PullProgress, StoredImage } from "./image-store.ts";
import { importImage } from "./import.ts";
import type { LayeredImage } from "./layered-image.ts";
import { acquireLock, indexLock, lockOfReference } from "./lock.ts";
import { pullImage, type RegistryOptions } from "./pull.ts";
import { normaliseReference, parseReference } from "./references.ts";
import { runTool } from "./run-tool.ts";
import { type ImageRecord, openShelf, type Shelf } from "./shelf.ts";
import { singleFlight } from "./single-flight.ts";
import { unpackImage } from "./unpack.ts";

export interface ImageStoreOptions {
  /** Absolute; made if absent, closed to every other user of the host. */
  readonly storeDir: string;
  readonly clock: Clock;
  /** Requested reference -> the stored image that answers for it; such a name is never pulled. */
  readonly aliases?: Readonly<Record<string, string>>;
  readonly registries?: RegistryOptions;
  readonly timeouts?: Partial<ImageTimeouts>;
  readonly maxDownloadBytes?: number;
  readonly maxUnpackedBytes?: number;
}

/** Names under this are made here, so that nobody's registry account can put something else in their place. */
export const localPrefix = "docker.io/stacyvm/";

/** Images on this host's disk, pulled by skopeo, unpacked by umoci. One directory may be shared by several processes. */
export async function createImageStore(options: ImageStoreOptions): Promise<ImageStore> {
  const shelf = await openShelf(options.storeDir);
  const timeouts = { ...imageTimeouts, ...options.timeouts };
  const maxUnpackedBytes = options.maxUnpackedBytes ?? imageBounds.unpackedBytes;
  const aliases = new Map(
    Object.entries(options.aliases ?? {}).map(([from, to]) => [normaliseReference(from), normaliseReference(to)]),
  );
  const pulls = singleFlight<ImageRecord, PullProgress>();

  /** Makes the tree of an image and then the reference that names it. */
  async function shelve(
    reference: string,
    source: StoredImage["source"],
    signal: AbortSignal,
    onProgress: OnProgress | undefined,
    open: (workDir: string) => Promise<LayeredImage>,
  ): Promise<ImageRecord> {
    await using temporary = await shelf.temporary();
    const image = await open(temporary.path);
    onProgress?.({ phase: "unpack", message: `unpacking ${image.layers.length} layers` });
    const unpacked = await unpackImage({
      image,
      workDir: temporary.path,
      signal,
      timeoutMs: timeouts.unpackMs,
      maxUnpackedBytes,
      exists: async (hex) => shelf.hasTree(`sha256:${hex}`),
    });
    const digest = `sha256:${unpacked.hex}`;
    if (!shelf.hasTree(digest)) {
      // On the disk before it has its name: a power cut must not leave a tree that only looks whole.
      await runTool({ argv: ["sync", "-f", temporary.path], signal, timeoutMs: timeouts.unpackMs });
    }
    const record: ImageRecord = {
      reference,
      digest,
      sizeBytes: unpacked.sizeBytes,
      createdAtMs: options.clock.now(),
      source,
      env: image.env,
    };
    await publish(shelf, record, temporary.path, signal, timeouts.lockMs);
    onProgress?.({ phase: "done", message: `${reference} is ${digest}` });
    return record;
  }

  async function pullOnce(
    reference: string,
    signal: AbortSignal,
    onProgress: OnProgress | undefined,
    unlessStored: boolean,
  ): Promise<ImageRecord> {
    if (reference.startsWith(localPrefix)) {
      throw new StacyError("image_not_found", `image: ${reference} is made on this host and is not stored yet`, {
        remediation: `Make it with: stacyvm image build-base ${reference}`,
      });
    }
    return await pulls.run(`${unlessStored} ${reference}`, signal, onProgress, async (shared, note) => {
      using _ = await acquireLock(shelf.locks, lockOfReference(reference), {
        signal: shared,
        timeoutMs: timeouts.lockMs,
      });
      // Another process may have brought it in while we waited.
      const stored = unlessStored ? await whole(shelf, reference) : undefined;
      if (stored !== undefined) return stored;
      return await shelve(reference, "pull", shared, note, (workDir) =>
        pullImage({
          reference: parseReference(reference),
          registries: options.registries ?? {},
          workDir,
          signal: shared,
          timeoutMs: timeouts.pullMs,
          maxBytes: options.maxDownloadBytes ?? imageBounds.downloadBytes,
          onProgress: note,
        }),
      ).catch((error: unknown) => {
        throw asImportFailure(error, "image_pull_failed", reference);
      });
    });
  }

  return {
    async ensure(text, signal, onProgress) {
      const requested = normaliseReference(text);
      const alias = aliases.get(requested);
      const reference = alias ?? requested;
      const stored = await whole(shelf, reference);
      if (stored !== undefined) return root(shelf, stored);
      if (alias !== undefined) {
        throw new StacyError("image_not_found", `image: ${requested} is an alias of ${alias}, which is not stored`);
      }
      return root(shelf, await pullOnce(reference, signal, onProgress, true));
    },
    async pull(text, signal, onProgress) {
      return publicPart(await pullOnce(normaliseReference(text), signal, onProgress, false));
    },
    async importFrom(text, source, signal, onProgress) {
      const reference = normaliseReference(text);
      onProgress?.({ phase: "resolve", message: `reading ${source}` });
      const open = (workDir: string) => importImage({ source, workDir, maxBytes: maxUnpackedBytes, signal });
      const record = await shelve(reference, "import", signal, onProgress, open).catch((error: unknown) => {
        throw asImportFailure(error, "invalid_input", source);
      });
      return publicPart(record);
    },
    async buildBase(text, { suite }, signal, onProgress) {
      const onMessage = (message: string) => onProgress?.({ phase: "download", message });
      const open = (workDir: string) =>
        buildBase({ suite, workDir, signal, timeoutMs: timeouts.buildBaseMs, onMessage });
      return publicPart(await shelve(normaliseReference(text), "build-base", signal, onProgress, open));
    },
    async list() {
      return (await shelf.list()).map(publicPart);
    },
    async remove(text, inUse) {
      const reference = normaliseReference(text);
      const never = new AbortController().signal;
      using _ = await acquireLock(shelf.locks, indexLock, { signal: never, timeoutMs: timeouts.lockMs });
      const record = await shelf.find(reference);
      if (record === undefined) throw new StacyError("image_not_found", `image: ${reference} is not stored`);
      const others = (await shelf.list()).filter((other) => other.reference !== reference);
      const named = new Set(others.map(({ digest }) => digest));
      if (!named.has(record.digest) && (await inUse(record.digest))) {
        throw new StacyError("state_conflict", `image: ${reference} is used by a sandbox`, {
          remediation: "Destroy the sandboxes that use it, then remove it.",
        });
      }
      await shelf.drop(reference);
      // Trees that lost their name to a newer image go too. A tree gets its name under the same lock, so none is new.
      for (const digest of await shelf.trees()) {
        if (!named.has(digest) && !(await inUse(digest))) await shelf.removeTree(digest);
      }
    },
  };
}

/** Tree first, then its name, under the lock that remove takes too: a tree in use by a new name is never removed. */
async function publish(
  shelf: Shelf,
  record: ImageRecord,
  temporary: string,
  signal: AbortSignal,
  timeoutMs: number,
): Promise<void> {
  using _ = await acquireLock(shelf.locks, indexLock, { signal, timeoutMs });
  await shelf.adoptTree(record.digest, temporary);
  await shelf.put(record);
}

async function whole(shelf: Shelf, reference: string): Promise<ImageRecord | undefined> {
  const record = await shelf.find(reference);
  return record !== undefined && shelf.hasTree(record.digest) ? record : undefined;
}

const root = (shelf: Shelf, { digest, env }: ImageRecord): ImageRoot => ({
  digest,
  rootfsPath: shelf.rootfsPath(digest),
  env,
});

function publicPart({ env: _, ...stored }: ImageRecord): StoredImage {
  return stored;
}
