import type { Shelf } from "./shelf.ts";

type InUse = (digest: string) => Promise<boolean>;

/** Pins first: who has let go of one has written down before that the tree is in use. */
export const isUsed = async (shelf: Shelf, digest: string, inUse: InUse): Promise<boolean> =>
  (await shelf.pins.has(digest)) || (await inUse(digest));

/**
 * Under the index lock. A spawn pins the tree and then looks whether it is there and not doomed; here it is doomed and
 * then looked for pins. Whichever comes first, one of the two sees the other.
 */
export async function takeUnlessUsed(
  shelf: Shelf,
  digest: string,
  temporary: string,
  inUse: InUse,
  before: () => Promise<void> = async () => {},
): Promise<boolean> {
  shelf.doom(digest);
  try {
    if (await isUsed(shelf, digest, inUse)) return false;
    await before();
    await shelf.takeTree(digest, temporary);
    return true;
  } finally {
    shelf.spare(digest);
  }
}
