import { expect, test } from "vitest";
import type { Counts } from "./counts.ts";
import { unproven } from "./unproven.ts";

const counts = (seen: readonly string[], skipped: readonly string[] = []): Counts => ({
  passed: seen.length - skipped.length,
  failed: 0,
  skips: skipped.map((name) => ({ name, reason: "not here" })),
  seen,
});
const row = (tests: string, status = "mitigated") => `| threat | control | ${status} | ${tests} |\n`;

test("a mitigated threat needs each of its tests to have passed, wherever a shared suite ran", () => {
  const markdown = row('`test/a.test.ts` "one", "two %s"') + row('`packages/x/wall-contract.ts` "holds"');
  const all = ["test/a.test.ts one", "test/a.test.ts group > two things", "packages/y.test.ts provider oci > holds"];
  expect(unproven(markdown, counts(all), false)).toEqual([]);
  for (const name of all) {
    const without = counts(all.filter((one) => one !== name));
    expect(unproven(markdown, without, false), name).toHaveLength(1);
    expect(unproven(markdown, counts(all, [name]), false), name).toHaveLength(1);
  }
  expect(
    unproven(markdown, counts([...all, "packages/z.test.ts provider mock > holds"], [all[2] ?? ""]), false),
  ).toEqual([]);
});

test("a Go test counts by its package, and by its subtests", () => {
  const markdown = row('`native/internal/host/x_test.go` "TestX"');
  expect(unproven(markdown, counts(["stacyvm/native/internal/host TestX/sub"]), false)).toEqual([]);
  expect(
    unproven(markdown, counts(["stacyvm/native/internal/files TestX", "stacyvm/native/internal/host TestXY"]), false),
  ).toHaveLength(1);
});

test("what only a long run tries is asked of a long run, and open threats of none", () => {
  const markdown = row('`test/a.long.test.ts` "long"') + row('`test/b.test.ts` "none"', "open");
  expect(unproven(markdown, counts([]), false)).toEqual([]);
  expect(unproven(markdown, counts([]), true)).toHaveLength(1);
});
