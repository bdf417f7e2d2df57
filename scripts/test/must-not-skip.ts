import { readFileSync } from "node:fs";
import type { Counts } from "./counts.ts";

/** A suite that has to run wherever the tests run. */
export interface Required {
  /** What the names of its tests begin with: a file or Go package, then the suite's own name if there are several. */
  readonly suite: string;
  readonly why: string;
  /** Tests that it names itself, each with its reason, as what this wall does otherwise; one more is a complaint. */
  readonly differs?: number;
}

export const readRequired = (file: string): readonly Required[] => JSON.parse(readFileSync(file, "utf8"));

/** Complaints about required suites: those with a skipped test, and those of which nothing was seen at all. */
export const missedBy = (required: readonly Required[], { skips, seen }: Counts): string[] =>
  required.flatMap(({ suite, why, differs = 0 }) => {
    const skipped = skips.filter(({ name }) => name.startsWith(suite));
    if (!seen.some((name) => name.startsWith(suite))) return [`${suite} did not run: ${why}`];
    return skipped.length > differs ? [`${suite} skipped ${skipped.length} of its tests: ${why}`] : [];
  });
