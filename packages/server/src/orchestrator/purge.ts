import type { Store } from "../store/store.ts";

/** Rows deleted in one transaction; others wait for no more than that. */
const purgeRowsMax = 500;

/** Deletes what is kept of sandboxes that were destroyed before the time, a bounded number at once; resolves to how many. */
export async function purgeDestroyed(
  { sandboxes }: Pick<Store, "sandboxes">,
  beforeMs: number,
  signal: AbortSignal,
): Promise<number> {
  let purged = 0;
  for (;;) {
    signal.throwIfAborted();
    const count = await sandboxes.purgeDestroyed(beforeMs, purgeRowsMax);
    purged += count;
    if (count < purgeRowsMax) return purged;
  }
}
