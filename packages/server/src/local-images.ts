import { StacyError } from "@stacyvm/contract";
import { type LoadOptions, loadConfig } from "./config/load.ts";
import { createOutbound } from "./egress/create-outbound.ts";
import { createImageStore } from "./images/create-image-store.ts";
import type { CollectedImages, ImageStore } from "./images/image-store.ts";
import { registryOptions } from "./images/registry-options.ts";
import { systemClock } from "./lib/clock.ts";
import { parseDuration } from "./lib/duration.ts";
import { builtNativeDir } from "./lib/native-dir.ts";
import { parseSize } from "./lib/size.ts";
import { collectImages } from "./orchestrator/collect-images.ts";
import { createStore } from "./store/create-store.ts";
import { databaseLocation } from "./store/open-database.ts";
import { createDiskSpace } from "./telemetry/disk-space.ts";

export interface LocalCollectOptions {
  readonly dryRun: boolean;
  /** As people write them; where absent the configuration counts, whether or not it lets the server collect by itself. */
  readonly maxSize: string | undefined;
  readonly maxAge: string | undefined;
  readonly signal: AbortSignal;
}

/** This host's images, as the server's configuration places them; `remove` and `collect` look into the server's database. */
export type LocalImages = Pick<ImageStore, "pull" | "importFrom" | "buildBase" | "list"> & {
  remove(reference: string): Promise<void>;
  /** By the rules of the configuration; also while a server runs. Throws invalid_input. */
  collect(options: LocalCollectOptions): Promise<CollectedImages>;
};

/** For the command line beside a server, running or not. Throws ConfigError. */
export async function openLocalImages(options: LoadOptions): Promise<LocalImages> {
  const { config } = loadConfig(options);
  const { storeDir, aliases } = config.images;
  const disks = createDiskSpace({
    directories: { data: config.dataDir, images: storeDir, sandboxes: config.providers.oci.stateDir },
    minFree: config.disk.minFree,
  });
  const images = await createImageStore({
    storeDir,
    aliases,
    clock: systemClock,
    registries: registryOptions(config.images),
    outbound: createOutbound({
      config: config.network,
      nativeDir: builtNativeDir,
      stateDir: config.providers.oci.stateDir,
      known: [],
    }),
    requireRoom: () => disks.requireRoom("images"),
  });
  const openStore = () => createStore({ database: databaseLocation(config.database), nowMs: systemClock.now() });
  return {
    ...images,
    async collect({ dryRun, maxSize, maxAge, signal }) {
      const { maxSizeBytes, maxAgeMs, keep } = config.images.gc;
      const rules = {
        maxBytes: maxSize === undefined ? maxSizeBytes || undefined : asked("--max-size", maxSize, parseSize),
        maxAgeMs: maxAge === undefined ? maxAgeMs || undefined : asked("--max-age", maxAge, parseDuration),
      };
      await using store = await openStore();
      return await collectImages({
        images,
        store,
        providers: [],
        rules,
        keep: [config.defaults.image, ...keep],
        dryRun,
        signal,
      });
    },
    async remove(reference) {
      await using store = await openStore();
      await images.remove(reference, async (imageDigest) => (await store.sandboxes.count({ imageDigest })) > 0);
    },
  };
}

function asked(flag: string, text: string, parse: (text: string) => number): number {
  let value: number;
  try {
    value = parse(text);
  } catch (cause) {
    throw new StacyError("invalid_input", `${flag}: ${cause instanceof Error ? cause.message : text}`, { cause });
  }
  if (value < 0) throw new StacyError("invalid_input", `${flag}: cannot be negative`);
  return value;
}
