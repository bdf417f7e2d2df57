import type { CollectedImages, GarbageRules, ImageStore } from "../images/image-store.ts";
import type { Provider } from "../providers/provider.ts";
import type { Store } from "../store/store.ts";

export interface CollectImagesOptions {
  readonly images: Pick<ImageStore, "collect">;
  readonly store: Store;
  /** None where nobody but the database can be asked. */
  readonly providers: readonly Provider[];
  readonly rules: GarbageRules;
  /** Images that stay beside those of templates. */
  readonly keep: readonly string[];
  readonly dryRun: boolean;
  readonly signal: AbortSignal;
}

/** Removes images by age and size. What a living row names or a provider still has on the host is in use. */
export async function collectImages(options: CollectImagesOptions): Promise<CollectedImages> {
  const { store, signal, rules, dryRun } = options;
  const templates = await store.templates.list();
  return await options.images.collect({
    rules,
    dryRun,
    signal,
    keep: [...options.keep, ...templates.map(({ image }) => image)],
    inUse: async (imageDigest) => {
      if ((await store.sandboxes.count({ imageDigest })) > 0) return true;
      const hex = imageDigest.slice("sha256:".length);
      for (const provider of options.providers) {
        const owned = await provider.list(signal);
        if (owned.some(({ rootfsPath }) => rootfsPath.includes(`/trees/${hex}/`))) return true;
      }
      return false;
    },
  });
}
