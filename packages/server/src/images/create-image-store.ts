import { join } from "node:path";
import { StacyError } from "@stacyvm/contract";
import type { Clock } from "../lib/clock.ts";
import type { Outbound } from "../lib/outbound.ts";
import { buildBase } from "./base/build-base.ts";
import { type ImageTimeouts, imageBounds, imageTimeouts } from "./bounds.ts";
import { collectImages } from "./collect.ts";
import { asImportFailure } from "./failures.ts";
import { settled, whole } from "./find-stored.ts";
import { createImageAskers, type ImageAsker, serverAsker, type TenantRegistries } from "./image-askers.ts";
import {
  type ImageRoot,
  type ImageStore,
  type ImageUser,
  notMadeYet,
  type OnProgress,
  type PullProgress,
  type StoredImage,
} from "./image-store.ts";
import { importImage } from "./import.ts";
import type { ImageAccess, LayeredImage } from "./layered-image.ts";
import { acquireLock, lockOfReference } from "./lock.ts";
import { publish } from "./publish.ts";
import { mayHaveManifest, pullImage } from "./pull.ts";
import { normaliseReference, parseReference } from "./references.ts";
import type { RegistryOptions } from "./registry-access.ts";
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
  /** The way to registries; without it none is asked. */
  readonly outbound?: Outbound;
  /** Absent: every caller is the server's. */
  readonly tenants?: TenantRegistries;
  readonly timeouts?: Partial<ImageTimeouts>;
  readonly maxDownloadBytes?: number;
  readonly maxUnpackedBytes?: number;
  /** Asked before and while an image comes in; without it the disk is filled to its end. */
  readonly requireRoom?: RequireRoom;
}

/** Most askers of one image who are remembered as having pulled it. */
const pullersMax = 100;

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
  const { clock, tenants } = options;
  const askers = createImageAskers({
    registries: options.registries ?? {},
    outbound: options.outbound,
    tenants,
    clock,
  });

  /** Whether what is stored is for the asker. Throws image_pull_failed where the registry would have to say so and can't be asked. */
  async function isFor(asker: ImageAsker, record: ImageRecord, signal: AbortSignal): Promise<boolean> {
    const { access, source, reference } = record;
    if (source !== "pull" || access === "public") return true;
    if (access === undefined) return asker.id === serverAsker;
    return access.pulledBy.includes(asker.id) || (await mayHave(asker, reference, access.manifest, signal));
  }

  /** By the registry's word, given lately or now. Throws image_pull_failed where it can't be asked. */
  async function mayHave(
    asker: ImageAsker,
    reference: string,
    manifest: string,
    signal: AbortSignal,
  ): Promise<boolean> {
    if (asker.knows(manifest)) return true;
    await using temporary = await shelf.temporary();
    const asked = { ...pullOptions(asker, reference, temporary.path, signal), timeoutMs: timeouts.manifestMs };
    if (!(await mayHaveManifest(asked, manifest))) return false;
    asker.learned(manifest);
    return true;
  }

  const outbound = (): Outbound => {
    if (options.outbound !== undefined) return options.outbound;
    throw new StacyError("image_pull_failed", "image: there is no way to registries here");
  };

  const pullOptions = (asker: ImageAsker, reference: string, workDir: string, signal: AbortSignal) => ({
    reference: parseReference(reference),
    registries: asker.registries,
    outbound: outbound(),
    workDir,
    signal,
    timeoutMs: timeouts.pullMs,
    maxBytes: options.maxDownloadBytes ?? imageBounds.downloadBytes,
    onProgress: () => {},
  });

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
      ...(image.access && { access: image.access }),
    };
    await publish(shelf, record, temporary.path, signal, timeouts.lockMs);
    onProgress?.({ phase: "done", message: `${reference} is ${digest}` });
    return record;
  }

  async function pullOnce(
    reference: string,
    asker: ImageAsker,
    signal: AbortSignal,
    onProgress: OnProgress | undefined,
    unlessStored: boolean,
  ): Promise<ImageRecord> {
    if (reference.startsWith(localPrefix)) throw notMadeYet(reference);
    return await pulls.run(`${unlessStored} ${asker.id} ${reference}`, signal, onProgress, async (shared, note) => {
      using _ = await acquireLock(shelf.locks, lockOfReference(reference), {
        signal: shared,
        timeoutMs: timeouts.lockMs,
      });
      // Another process may have brought it in while we waited.
      const stored = await whole(shelf, reference);
      if (unlessStored && stored !== undefined && (await isFor(asker, stored, shared))) return stored;
      return await shelve(reference, "pull", shared, note, async (workDir, within) => {
        const pulled = await pullImage({ ...pullOptions(asker, reference, workDir, within), onProgress: note });
        return { ...pulled, access: pulledToo(pulled.access, asker, stored) };
      }).catch((error: unknown) => {
        throw asImportFailure(error, "image_pull_failed", reference);
      });
    });
  }

  async function obtain(
    text: string,
    user: ImageUser,
    signal: AbortSignal,
    onProgress?: OnProgress,
  ): Promise<ImageRecord> {
    const requested = normaliseReference(text);
    const alias = aliases.get(requested);
    const reference = alias ?? requested;
    const asker = await askers.of(user.tenantId, reference);
    const stored = await settled(shelf, reference, signal, timeouts.lockMs);
    if (stored !== undefined && (await isFor(asker, stored, signal))) return stored;
    if (alias !== undefined && stored !== undefined) {
      throw new StacyError(
        "image_not_found",
        `image: ${requested} is an alias of ${alias}, which is not for this tenant`,
      );
    }
    if (alias !== undefined) {
      throw new StacyError("image_not_found", `image: ${requested} is an alias of ${alias}, which is not stored`);
    }
    return await pullOnce(reference, asker, signal, onProgress, true);
  }

  return {
    ensure: async (text, signal, onProgress) => root(shelf, await obtain(text, ofServer, signal, onProgress)),
    async use(text, signal, user = ofServer) {
      for (;;) {
        signal.throwIfAborted();
        const record = await obtain(text, user, signal);
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
    async useStored(text, signal, user = ofServer) {
      const reference = normaliseReference(text);
      const record = await settled(shelf, reference, signal, timeouts.lockMs);
      if (record === undefined) return undefined;
      if (!(await isFor(await askers.of(user.tenantId, reference), record, signal))) return undefined;
      const pin = shelf.pins.hold(record.digest);
      if (shelf.hasTree(record.digest)) {
        shelf.touch(record.reference, options.clock.now()).catch(() => {});
        return { root: root(shelf, record), [Symbol.dispose]: () => pin[Symbol.dispose]() };
      }
      pin[Symbol.dispose]();
      return undefined;
    },
    async asker(text, { tenantId }) {
      const reference = normaliseReference(text);
      const asker = await askers.of(tenantId, reference);
      return { ...asker, mayHave: (manifest, signal) => mayHave(asker, reference, manifest, signal) };
    },
    async pull(text, signal, onProgress) {
      const reference = normaliseReference(text);
      return publicPart(await pullOnce(reference, await askers.of("", reference), signal, onProgress, false));
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
      return (await shelf.list()).map(({ env: _, access: __, ...image }) => image);
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

const ofServer: ImageUser = { tenantId: "" };

/** Who has pulled the same manifest before stays among those who have. */
const pulledToo = (
  access: ImageAccess | undefined,
  { id }: ImageAsker,
  stored: ImageRecord | undefined,
): ImageAccess => {
  if (access === undefined || access === "public") return "public";
  const before = stored?.access;
  const same = typeof before === "object" && before.manifest === access.manifest ? before.pulledBy : [];
  return { ...access, pulledBy: [...new Set([...same, id])].slice(-pullersMax) };
};

const root = (shelf: Shelf, { digest, env }: ImageRecord): ImageRoot => ({
  digest,
  rootfsPath: shelf.rootfsPath(digest),
  env,
});

function publicPart({ env: _, access: __, ...stored }: ImageRecord): StoredImage {
  return { ...stored, lastUsedAtMs: stored.createdAtMs };
}
