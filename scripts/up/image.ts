import { StacyError } from "../../packages/contract/src/index.ts";
import type { ImageStore, PullProgress } from "../../packages/server/src/images/image-store.ts";
import { normaliseReference } from "../../packages/server/src/images/references.ts";

/** What is made here: the image that up prefers, and what does where that one can't be made. */
export const codeReference = "stacyvm/code:latest";
export const baseReference = "stacyvm/base:latest";

/** Milliseconds that a registry has to give the default image before the base takes its place. */
const pullPatienceMs = 60_000;

export type FirstImage =
  | { readonly kind: "stored" | "pulled" }
  /** The default image's name has to stand for this one. */
  | { readonly kind: "made"; readonly reference: string };

/**
 * Makes sure that the default image can be had: stored, or the image for code in its place, or what a registry gives, or the
 * minimal base. Throws what the last build threw.
 */
export async function firstImage(
  images: ImageStore,
  reference: string,
  report: (line: string) => void,
  signal: AbortSignal,
): Promise<FirstImage> {
  const stored = await images.list();
  const has = (name: string) => stored.some((image) => image.reference === normaliseReference(name));
  if (has(reference)) return { kind: "stored" };
  if (has(codeReference)) return { kind: "made", reference: codeReference };
  const onProgress = ({ message }: PullProgress) => report(message);
  report(
    "making an image with Python, Node, git and a C toolchain from this machine's package sources (once, 1-2 minutes)",
  );
  try {
    await images.buildBase(codeReference, { variant: "code", environment: process.env }, signal, onProgress);
    return { kind: "made", reference: codeReference };
  } catch (error) {
    report(`it could not be made: ${whyExpected(error, signal)}`);
  }
  if (has(baseReference)) return { kind: "made", reference: baseReference };
  report(`asking the registry for ${reference}`);
  try {
    await images.pull(reference, AbortSignal.any([signal, AbortSignal.timeout(pullPatienceMs)]));
    return { kind: "pulled" };
  } catch (error) {
    report(`no registry gave it: ${whyExpected(error, signal)}`);
  }
  report("making a minimal base from this machine's package sources instead (mmdebstrap, about a minute)");
  await images.buildBase(baseReference, {}, signal, onProgress);
  return { kind: "made", reference: baseReference };
}

/** What is passed over because there is another way; anything else is thrown. */
function whyExpected(error: unknown, signal: AbortSignal): string {
  signal.throwIfAborted();
  if (error instanceof StacyError || (error instanceof Error && error.name === "TimeoutError")) return error.message;
  throw error;
}
