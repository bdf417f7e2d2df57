import type { GarbageRules, ImageSource, RemovedImage } from "./image-store.ts";

export interface Tree {
  readonly digest: string;
  readonly sizeBytes: number;
  /** All names of the tree; a tree that lost them to newer images has none. */
  readonly names: readonly {
    readonly reference: string;
    readonly source: ImageSource;
    readonly lastUsedAtMs: number;
  }[];
}

/** Of all its names; a tree without one counts as never used. */
export const lastUse = ({ names }: Tree): number => Math.max(0, ...names.map(({ lastUsedAtMs }) => lastUsedAtMs));

/**
 * What no rule touches: an image under a name to keep, and one that no registry could bring back, because it was
 * imported or made here.
 */
export const isKept = ({ names }: Tree, keep: ReadonlySet<string>): boolean =>
  names.some(({ reference, source }) => source !== "pull" || keep.has(reference));

/** Those that a rule may remove, the one whose last use is longest ago first. */
export const candidates = (trees: readonly Tree[], keep: ReadonlySet<string>): readonly Tree[] =>
  trees.filter((tree) => !isKept(tree, keep)).sort((a, b) => lastUse(a) - lastUse(b) || (a.digest < b.digest ? -1 : 1));

/** Why a candidate has to go while `totalBytes` are stored; undefined where it may stay. */
export function reasonToRemove(
  tree: Tree,
  rules: GarbageRules,
  totalBytes: number,
  nowMs: number,
): RemovedImage["reason"] | undefined {
  if (tree.names.length === 0) return "unnamed";
  if (rules.maxAgeMs !== undefined && nowMs - lastUse(tree) > rules.maxAgeMs) return "age";
  if (rules.maxBytes !== undefined && totalBytes > rules.maxBytes) return "size";
  return undefined;
}
