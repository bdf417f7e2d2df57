export interface Drift {
  readonly path: string;
  readonly what: "missing" | "stale" | "different";
  /** First line that differs, counted from 1. */
  readonly line?: number;
}

const firstDifference = (a: Buffer, b: Buffer): number => {
  const [left, right] = [a.toString("utf8").split("\n"), b.toString("utf8").split("\n")];
  return left.findIndex((line, i) => line !== right[i]) + 1 || left.length + 1;
};

/** How the files that stand there differ from those that the generators write now. */
export const driftBetween = (
  standing: ReadonlyMap<string, Buffer>,
  fresh: ReadonlyMap<string, Buffer>,
): readonly Drift[] => {
  const drifts: Drift[] = [];
  for (const path of [...new Set([...standing.keys(), ...fresh.keys()])].sort()) {
    const [was, is] = [standing.get(path), fresh.get(path)];
    if (was === undefined) drifts.push({ path, what: "missing" });
    else if (is === undefined) drifts.push({ path, what: "stale" });
    else if (!was.equals(is)) drifts.push({ path, what: "different", line: firstDifference(was, is) });
  }
  return drifts;
};
