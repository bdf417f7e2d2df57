import { join } from "node:path";
import { StacyError } from "@stacyvm/contract";
import type { Clock } from "../lib/clock.ts";
import { buildBase } from "./base/build-base.ts";
import { type ImageTimeouts, imageBounds, imageTimeouts } from "./bounds.ts";
import { collectImages } from "./collect.ts";
import { asImportFailure } from "./failures.ts";
import { settled, whole } from "./find-stored.ts";
import {
  type ImageRoot,
  type ImageStore,
  notMadeYet,
  type OnProgress,
  type PullProgress,
  type StoredImage,
} from "./image-store.ts";
import { importImage } from "./import.ts";
import type { LayeredImage } from "./layered-image.ts";
import { acquireLock, lockOfReference } from "./lock.ts";
import { publish } from "./publish.ts";
import { pullImage } from "./pull.ts";
import { normaliseReference, parseReference } from "./references.ts";
import { type RegistryOptions, registryLogin } from "./registry-access.ts";
import { removeImage } from "./remove.ts";
import { runTool } from "./run-tool.ts";
import { type ImageRecord, openShelf, type Shelf } from "./shelf.ts";
import { singleFlight } from "./single-flight.ts";
import { treeBytes } from "./tree-size.ts";
import { unpackImage } from "./unpack.ts";
import { type RequireRoom, withRoom } from "./with-room.ts";

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
  /** Asked before and while an image comes in; without it the disk is filled to its end. */
  readonly requireRoom?: RequireRoom;
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
  const shelve = (
    reference: string,
    source: StoredImage["source"],
    asked: AbortSignal,
    onProgress: OnProgress | undefined,
    open: (workDir: string, signal: AbortSignal) => Promise<LayeredImage>,
  ): Promise<ImageRecord> =>
    withRoom(options.requireRoom ?? (async () => {}), asked, (signal) =>
      shelveWithin(reference, source, signal, onProgress, open),
    );

  async function shelveWithin(
    reference: string,
    source: StoredImage["source"],
    signal: AbortSignal,
    onProgress: OnProgress | undefined,
    open: (workDir: string, signal: AbortSignal) => Promise<LayeredImage>,
  ): Promise<ImageRecord> {
    await using temporary = await shelf.temporary();
    using held = new DisposableStack();
    const image = await open(temporary.path, signal);
    onProgress?.({ phase: "unpack", message: `unpacking ${image.layers.length} layers` });
    const unpacked = await unpackImage({
      image,
      workDir: temporary.path,
      signal,
      timeoutMs: timeouts.unpackMs,
      maxUnpackedBytes,
      exists: async (hex) => {
        held.use(shelf.pins.hold(`sha256:${hex}`)); // What is there has to stay until it has its new name.
        return shelf.hasTree(`sha256:${hex}`);
      },
    });
    const digest = `sha256:${unpacked.hex}`;
    const fresh = !shelf.hasTree(digest);
    if (fresh) {
      // On the disk before it has its name: a power cut must not leave a tree that only looks whole.
      await runTool({ argv: ["sync", "-f", temporary.path], signal, timeoutMs: timeouts.unpackMs });
    }
    const rootfs = fresh ? join(temporary.path, "rootfs") : shelf.rootfsPath(digest);
    const record: ImageRecord = {
      reference,
      digest,
      sizeBytes: await treeBytes(rootfs, signal, timeouts.unpackMs),
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
    if (reference.startsWith(localPrefix)) throw notMadeYet(reference);
    return await pulls.run(`${unlessStored} ${reference}`, signal, onProgress, async (shared, note) => {
      using _ = await acquireLock(shelf.locks, lockOfReference(reference), {
        signal: shared,
        timeoutMs: timeouts.lockMs,
      });
      // Another process may have brought it in while we waited.
      const stored = unlessStored ? await whole(shelf, reference) : undefined;
      if (stored !== undefined) return stored;
      return await shelve(reference, "pull", shared, note, (workDir, within) =>
        pullImage({
          reference: parseReference(reference),
          registries: options.registries ?? {},
          workDir,
          signal: within,
          timeoutMs: timeouts.pullMs,
          maxBytes: options.maxDownloadBytes ?? imageBounds.downloadBytes,
          onProgress: note,
        }),
      ).catch((error: unknown) => {
        throw asImportFailure(error, "image_pull_failed", reference);
      });
    });
  }

  async function obtain(text: string, signal: AbortSignal, onProgress: OnProgress | undefined): Promise<ImageRecord> {
    const requested = normaliseReference(text);
    const alias = aliases.get(requested);
    const reference = alias ?? requested;
    const stored = await settled(shelf, reference, signal, timeouts.lockMs);
    if (stored !== undefined) return stored;
    if (alias !== undefined) {
      throw new StacyError("image_not_found", `image: ${requested} is an alias of ${alias}, which is not stored`);
    }
    return await pullOnce(reference, signal, onProgress, true);
  }

  return {
    ensure: async (text, signal, onProgress) => root(shelf, await obtain(text, signal, onProgress)),
    async use(text, signal, onProgress) {
      for (;;) {
        signal.throwIfAborted();
        const record = await obtain(text, signal, onProgress);
        const pin = shelf.pins.hold(record.digest);
        if (shelf.hasTree(record.digest)) {
          // Nobody waits for it: that a use isn't noted costs an image a few days of its age at worst.
          shelf.touch(record.reference, options.clock.now()).catch(() => {});
          return { root: root(shelf, record), [Symbol.dispose]: () => pin[Symbol.dispose]() };
        }
        pin[Symbol.dispose](); // Removed since it was found: once more from the start.
      }
    },
    name(text) {
      const requested = normaliseReference(text);
      const alias = aliases.get(requested);
      const reference = alias ?? requested;
      return { reference, isLocal: alias !== undefined || reference.startsWith(localPrefix) };
    },
    async useStored(text, signal) {
      const record = await settled(shelf, normaliseReference(text), signal, timeouts.lockMs);
      if (record === undefined) return undefined;
      const pin = shelf.pins.hold(record.digest);
      if (shelf.hasTree(record.digest)) {
        shelf.touch(record.reference, options.clock.now()).catch(() => {});
        return { root: root(shelf, record), [Symbol.dispose]: () => pin[Symbol.dispose]() };
      }
      pin[Symbol.dispose]();
      return undefined;
    },
    login: (text) => registryLogin(parseReference(text).registry, options.registries ?? {}),
    async pull(text, signal, onProgress) {
      return publicPart(await pullOnce(normaliseReference(text), signal, onProgress, false));
    },
    async importFrom(text, source, signal, onProgress) {
      const reference = normaliseReference(text);
      onProgress?.({ phase: "resolve", message: `reading ${source}` });
      const open = (workDir: string, within: AbortSignal) =>
        importImage({ source, workDir, maxBytes: maxUnpackedBytes, signal: within });
      const record = await shelve(reference, "import", signal, onProgress, open).catch((error: unknown) => {
        throw asImportFailure(error, "invalid_input", source);
      });
      return publicPart(record);
    },
    async buildBase(text, { suite, variant = "minimal", environment }, signal, onProgress) {
      const onMessage = (message: string) => onProgress?.({ phase: "download", message });
      const open = (workDir: string, within: AbortSignal) =>
        buildBase({ variant, suite, environment, workDir, signal: within, timeoutMs: timeouts.buildBaseMs, onMessage });
      return publicPart(await shelve(normaliseReference(text), "build-base", signal, onProgress, open));
    },
    async list() {
      return (await shelf.list()).map(({ env: _, ...image }) => image);
    },
    remove: (text, inUse) => removeImage(shelf, normaliseReference(text), inUse, timeouts.lockMs),
    collect: (collecting) =>
      collectImages(
        {
          shelf,
          keep: [...aliases.values()],
          nowMs: options.clock.now(),
          lockMs: timeouts.lockMs,
          unpackMs: timeouts.unpackMs,
        },
        collecting,
      ),
  };
}

const root = (shelf: Shelf, { digest, env }: ImageRecord): ImageRoot => ({
  digest,
  rootfsPath: shelf.rootfsPath(digest),
  env,
});

function publicPart({ env: _, ...stored }: ImageRecord): StoredImage {
  return { ...stored, lastUsedAtMs: stored.createdAtMs };
}
