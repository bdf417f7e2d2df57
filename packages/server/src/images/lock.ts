import { createHash } from "node:crypto";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { StacyError } from "@stacyvm/contract";
import { tryFileLock } from "../lib/file-lock.ts";

/** Milliseconds between two attempts while another process holds the lock. */
const retryMs = 50;

/** The lock file of a reference: one of 256, so that names from callers can't fill the disk. Two may share one and wait. */
export const lockOfReference = (reference: string): string =>
  `ref-${createHash("sha256").update(reference).digest("hex").slice(0, 2)}`;

/** Taken last, for moments only, while trees and records change names. */
export const indexLock = "index";

/** A lock between processes of one host. */
export async function acquireLock(
  directory: string,
  name: string,
  options: { readonly signal: AbortSignal; readonly timeoutMs: number },
): Promise<Disposable> {
  const file = join(directory, `${name}.lock`);
  const deadline = performance.now() + options.timeoutMs;
  for (;;) {
    options.signal.throwIfAborted();
    const held = tryFileLock(file);
    if (held !== undefined) return held;
    if (performance.now() > deadline) {
      throw new StacyError("image_pull_failed", "another process has been working on the same image for too long");
    }
    await delay(retryMs, undefined, { signal: options.signal });
  }
}
