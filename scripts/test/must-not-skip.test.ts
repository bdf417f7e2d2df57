import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import type { Counts } from "./counts.ts";
import { missedBy, readRequired } from "./must-not-skip.ts";

const required = [{ suite: "providers/oci.test.ts", why: "it is the default" }];
const counts = (seen: readonly string[], skipped: readonly string[] = []): Counts => ({
  passed: seen.length - skipped.length,
  failed: 0,
  seen,
  skips: skipped.map((name) => ({ name, reason: "no runc" })),
});

test("a required suite that ran is no complaint, whatever else skipped", () => {
  expect(missedBy(required, counts(["providers/oci.test.ts a", "b.test.ts b"], ["b.test.ts b"]))).toEqual([]);
});

test("one skipped test of a required suite is a complaint", () => {
  const seen = ["providers/oci.test.ts a", "providers/oci.test.ts b"];
  expect(missedBy(required, counts(seen, ["providers/oci.test.ts b"]))).toEqual([
    "providers/oci.test.ts skipped 1 of its tests: it is the default",
  ]);
});

test("a suite may skip as many tests as it is known to do otherwise, and not one more", () => {
  const known = [{ suite: "proot.test.ts", why: "no root", differs: 1 }];
  const seen = ["proot.test.ts a", "proot.test.ts b"];
  expect(missedBy(known, counts(seen, ["proot.test.ts a"]))).toEqual([]);
  expect(missedBy(known, counts(seen, seen))).toEqual(["proot.test.ts skipped 2 of its tests: no root"]);
});

test("a required suite that vanished is a complaint", () => {
  expect(missedBy(required, counts(["b.test.ts b"]))).toEqual(["providers/oci.test.ts did not run: it is the default"]);
});

test("every suite on the list exists", () => {
  const root = resolve(import.meta.dirname, "..", "..");
  for (const { suite } of readRequired(join(import.meta.dirname, "must-not-skip.json"))) {
    const path = (suite.split(" ")[0] ?? "").replace(/^stacyvm\/native/, "native");
    expect(existsSync(join(root, path)), suite).toBe(true);
  }
});
