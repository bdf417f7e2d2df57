import { acquireLock, indexLock } from "./lock.ts";
import type { ImageRecord, Shelf } from "./shelf.ts";

/** Tree first, then its name, under the lock that remove takes too: a tree in use by a new name is never removed. */
export async function publish(
  shelf: Shelf,
  record: ImageRecord,
  temporary: string,
  signal: AbortSignal,
  timeoutMs: number,
): Promise<void> {
  using _ = await acquireLock(shelf.locks, indexLock, { signal, timeoutMs });
  await shelf.adoptTree(record.digest, temporary);
  await shelf.put(record);
}
