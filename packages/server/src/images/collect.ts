import { candidates, lastUse, reasonToRemove, type Tree } from "./garbage.ts";
import type { CollectedImages, CollectOptions, RemovedImage } from "./image-store.ts";
import { acquireLock, indexLock } from "./lock.ts";
import { normaliseReference } from "./references.ts";
import type { Shelf } from "./shelf.ts";
import { isUsed, takeUnlessUsed } from "./take.ts";
import { treeBytes } from "./tree-size.ts";

export interface CollectContext {
  readonly shelf: Shelf;
  /** Never removed, beside what the caller names. */
  readonly keep: readonly string[];
  readonly nowMs: number;
  readonly lockMs: number;
  readonly unpackMs: number;
}

/** Removes what the rules no longer let stay, oldest use first, and never what somebody uses. */
export async function collectImages(context: CollectContext, options: CollectOptions): Promise<CollectedImages> {
  const { shelf, nowMs } = context;
  const { rules, signal, dryRun = false } = options;
  if (!dryRun) await shelf.clearAbandoned();
  const keep = new Set([...context.keep, ...options.keep.flatMap(normalisedOrNone)]);
  const trees = await readTrees(context, signal);
  let storedBytes = trees.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const removed: RemovedImage[] = [];
  for (const tree of candidates(trees, keep)) {
    signal.throwIfAborted();
    const reason = reasonToRemove(tree, rules, storedBytes, nowMs);
    if (reason === undefined) continue;
    const { digest, sizeBytes } = tree;
    const gone = dryRun
      ? !(await isUsed(shelf, digest, options.inUse))
      : await removeUnlessUsed(context, tree, options);
    if (!gone) continue;
    storedBytes -= sizeBytes;
    const references = tree.names.map(({ reference }) => reference);
    removed.push({ references, digest, sizeBytes, lastUsedAtMs: lastUse(tree), reason });
  }
  return { removed, freedBytes: removed.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0), storedBytes, dryRun };
}

/** A name that is none keeps nothing: a template may hold any text. */
function normalisedOrNone(text: string): readonly string[] {
  try {
    return [normaliseReference(text)];
  } catch {
    return [];
  }
}

async function readTrees({ shelf, unpackMs }: CollectContext, signal: AbortSignal): Promise<readonly Tree[]> {
  const digests = await shelf.trees(); // Before the names: a tree that comes in between is not taken for one without.
  const images = await shelf.list();
  const trees: Tree[] = [];
  for (const digest of digests) {
    const names = images.filter((image) => image.digest === digest);
    const sizeBytes = names[0]?.sizeBytes ?? (await treeBytes(shelf.rootfsPath(digest), signal, unpackMs));
    trees.push({ digest, names, sizeBytes });
  }
  return trees;
}

async function removeUnlessUsed(context: CollectContext, tree: Tree, options: CollectOptions): Promise<boolean> {
  const { shelf, lockMs: timeoutMs } = context;
  await using temporary = await shelf.temporary(); // Emptied when the lock is free again: that takes longest.
  using _ = await acquireLock(shelf.locks, indexLock, { signal: options.signal, timeoutMs });
  const names = (await shelf.list()).filter(({ digest }) => digest === tree.digest);
  const unchanged = names.every(({ reference, lastUsedAtMs }) =>
    tree.names.some((old) => old.reference === reference && old.lastUsedAtMs === lastUsedAtMs),
  );
  if (!unchanged) return false;
  return await takeUnlessUsed(shelf, tree.digest, temporary.path, options.inUse, async () => {
    for (const { reference } of names) await shelf.drop(reference);
  });
}
