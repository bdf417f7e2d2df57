import { StacyError } from "../../packages/contract/src/index.ts";
import type { ImageStore, PullProgress } from "../../packages/server/src/images/image-store.ts";
import { normaliseReference } from "../../packages/server/src/images/references.ts";

/** Name of the base that is made here. */
export const baseReference = "stacyvm/base:latest";

/** Milliseconds that a registry has to give the default image before the base takes its place. */
const pullPatienceMs = 60_000;

export type FirstImage =
  | { readonly kind: "stored" | "pulled" }
  /** The default image's name has to stand for the base. */
  | { readonly kind: "base"; readonly built: boolean };

/** Makes sure that the default image can be had: stored, pulled, or the base in its place. Throws what the build threw. */
export async function firstImage(
  images: ImageStore,
  reference: string,
  report: (line: string) => void,
  signal: AbortSignal,
): Promise<FirstImage> {
  const stored = await images.list();
  const has = (name: string) => stored.some((image) => image.reference === normaliseReference(name));
  if (has(reference)) return { kind: "stored" };
  if (has(baseReference)) return { kind: "base", built: false };
  report(`asking the registry for ${reference}`);
  try {
    await images.pull(reference, AbortSignal.any([signal, AbortSignal.timeout(pullPatienceMs)]));
    return { kind: "pulled" };
  } catch (error) {
    signal.throwIfAborted();
    const expected = error instanceof StacyError || (error instanceof Error && error.name === "TimeoutError");
    if (!expected) throw error;
    report(`no registry gave it: ${error.message}`);
  }
  report("making a base from this machine's package sources instead (mmdebstrap, about a minute)");
  const onProgress = ({ message }: PullProgress) => report(message);
  await images.buildBase(baseReference, {}, signal, onProgress);
  return { kind: "base", built: true };
}
