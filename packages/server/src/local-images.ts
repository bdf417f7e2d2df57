import { type LoadOptions, loadConfig } from "./config/load.ts";
import { createImageStore } from "./images/create-image-store.ts";
import type { ImageStore } from "./images/image-store.ts";
import { systemClock } from "./lib/clock.ts";
import { createStore } from "./store/create-store.ts";
import { databaseLocation } from "./store/open-database.ts";

/** This host's images, as the server's configuration places them; `remove` looks into the server's database. */
export type LocalImages = Pick<ImageStore, "pull" | "importFrom" | "buildBase" | "list"> & {
  remove(reference: string): Promise<void>;
};

/** For the command line beside a server, running or not. Throws ConfigError. */
export async function openLocalImages(options: LoadOptions): Promise<LocalImages> {
  const { config } = loadConfig(options);
  const { storeDir, aliases, insecureRegistries, internalRegistries } = config.images;
  const images = await createImageStore({
    storeDir,
    aliases,
    clock: systemClock,
    registries: { insecure: insecureRegistries, internal: internalRegistries },
  });
  return {
    ...images,
    async remove(reference) {
      await using store = await createStore({ database: databaseLocation(config.database), nowMs: systemClock.now() });
      await images.remove(reference, async (imageDigest) => (await store.sandboxes.count({ imageDigest })) > 0);
    },
  };
}
