import { expect, test } from "vitest";
import { countsLine, oneCheck, slowest, sumOf } from "./counts.ts";
import { fuzzTargets, stages } from "./stages.ts";

test("fuzz targets are read with the package they belong to", () => {
  const listing =
    "FuzzA\nFuzzB\nok  \texample/a\t0.1s\n?   \texample/b\t[no test files]\nFuzzC\nok  \texample/c\t0.1s\n";
  expect(fuzzTargets(listing)).toEqual([
    ["example/a", "FuzzA"],
    ["example/a", "FuzzB"],
    ["example/c", "FuzzC"],
  ]);
});

test("the sum of all stages ends in one line", () => {
  const skipped = { ...oneCheck(true), skips: [{ name: "a", reason: "b" }] };
  expect(countsLine(sumOf([oneCheck(true), oneCheck(false), skipped]))).toBe("2 passed, 1 failed, 1 skipped");
});

test("stages have names of their own, so that --only means one", () => {
  expect(new Set(stages.map(({ name }) => name)).size).toBe(stages.length);
});

test("of the files of a stage the slow ones are named, the slowest first", () => {
  const tookMs = { "a.test.ts": 29_999, "b.test.ts": 30_000, "c.test.ts": 61_400 };
  expect(slowest({ ...oneCheck(true), tookMs })).toEqual(["c.test.ts: 61 s", "b.test.ts: 30 s"]);
  expect(slowest(oneCheck(true))).toEqual([]);
});
