import { acquireLock, indexLock } from "./lock.ts";
import type { ImageRecord, Shelf } from "./shelf.ts";

/** The record of a reference whose tree is there. */
export async function whole(shelf: Shelf, reference: string): Promise<ImageRecord | undefined> {
  const record = await shelf.find(reference);
  return record !== undefined && shelf.hasTree(record.digest) ? record : undefined;
}

/** As whole; where a removal has marked the tree, what comes of it is waited for. */
export async function settled(
  shelf: Shelf,
  reference: string,
  signal: AbortSignal,
  timeoutMs: number,
): Promise<ImageRecord | undefined> {
  const record = await shelf.find(reference);
  if (record === undefined || shelf.hasTree(record.digest)) return record;
  using _ = await acquireLock(shelf.locks, indexLock, { signal, timeoutMs });
  shelf.spare(record.digest); // Under the lock a mark is what a dead process left.
  return await whole(shelf, reference);
}
