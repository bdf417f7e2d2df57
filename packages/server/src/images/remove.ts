import { StacyError } from "@stacyvm/contract";
import { acquireLock, indexLock } from "./lock.ts";
import type { Shelf } from "./shelf.ts";
import { isUsed, takeUnlessUsed } from "./take.ts";

/** Removes a name, and with it every tree that has none any more and that nobody uses. */
export async function removeImage(
  shelf: Shelf,
  reference: string,
  inUse: (digest: string) => Promise<boolean>,
  lockMs: number,
): Promise<void> {
  const never = new AbortController().signal;
  await using temporary = await shelf.temporary();
  using _ = await acquireLock(shelf.locks, indexLock, { signal: never, timeoutMs: lockMs });
  const record = await shelf.find(reference);
  if (record === undefined) throw new StacyError("image_not_found", `image: ${reference} is not stored`);
  const others = (await shelf.list()).filter((other) => other.reference !== reference);
  const named = new Set(others.map(({ digest }) => digest));
  if (!named.has(record.digest) && (await isUsed(shelf, record.digest, inUse))) {
    throw new StacyError("state_conflict", `image: ${reference} is used by a sandbox`, {
      remediation: "Destroy the sandboxes that use it, then remove it.",
    });
  }
  await shelf.drop(reference);
  // Trees that lost their name to a newer image go too. A tree gets its name under the same lock, so none is new.
  for (const digest of await shelf.trees()) {
    if (!named.has(digest)) await takeUnlessUsed(shelf, digest, temporary.path, inUse);
  }
}
