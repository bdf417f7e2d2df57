/** One test that did not run, and why. */
export interface Skip {
  /** File or package, then the names down to the test. */
  readonly name: string;
  readonly reason: string;
}

/** What a stage found. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skips: readonly Skip[];
  /** Names of everything that ran or skipped, so that a suite that vanished is noticed. */
  readonly seen: readonly string[];
  /** How long each file of tests took, in milliseconds; absent where that isn't known. */
  readonly tookMs?: Readonly<Record<string, number>>;
}

/** Files that take longer than this are worth a line of their own. */
const slowMs = 30_000;

/** The slow files of a stage, the slowest first. */
export const slowest = ({ tookMs = {} }: Counts): readonly string[] =>
  Object.entries(tookMs)
    .filter(([, ms]) => ms >= slowMs)
    .sort(([, a], [, b]) => b - a)
    .map(([file, ms]) => `${file}: ${Math.round(ms / 1000)} s`);

export const unexplained = "no reason given";

export const oneCheck = (passed: boolean): Counts => ({
  passed: passed ? 1 : 0,
  failed: passed ? 0 : 1,
  skips: [],
  seen: [],
});

export const sumOf = (all: readonly Counts[]): Counts => ({
  passed: all.reduce((sum, { passed }) => sum + passed, 0),
  failed: all.reduce((sum, { failed }) => sum + failed, 0),
  skips: all.flatMap(({ skips }) => skips),
  seen: all.flatMap(({ seen }) => seen),
});

/** The line that a run ends with, for people and for programs. */
export const countsLine = ({ passed, failed, skips }: Counts): string =>
  `${passed} passed, ${failed} failed, ${skips.length} skipped`;
