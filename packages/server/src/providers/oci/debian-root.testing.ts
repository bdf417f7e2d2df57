import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { createImageStore } from "../../images/create-image-store.ts";
import type { ImageRoot } from "../../images/image-store.ts";

const storeDir = resolve(import.meta.dirname, "../../../../../.cache/debian-root");
const reference = "stacyvm/base";

/** The base that `stacyvm image build-base` makes, made once and kept in .cache. */
export const debianImage = async (
  signal: AbortSignal,
): Promise<{ readonly image: ImageRoot; readonly imagesRoot: string }> => {
  await mkdir(join(storeDir, ".."), { recursive: true });
  const store = await createImageStore({ storeDir, clock: { now: () => Date.now() } });
  if ((await store.list()).length === 0) await store.buildBase(reference, {}, signal);
  return { image: await store.ensure(reference, signal), imagesRoot: storeDir };
};
