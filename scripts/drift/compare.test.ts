import { expect, test } from "vitest";
import { driftBetween } from "./compare.ts";

const tree = (files: Readonly<Record<string, string>>) =>
  new Map(Object.entries(files).map(([path, text]) => [path, Buffer.from(text)]));

test("equal trees have no drift", () => {
  expect(driftBetween(tree({ a: "1\n" }), tree({ a: "1\n" }))).toEqual([]);
});

test("a changed file is named with its first different line", () => {
  expect(driftBetween(tree({ a: "1\n2\n" }), tree({ a: "1\n3\n" }))).toEqual([
    { path: "a", what: "different", line: 2 },
  ]);
  expect(driftBetween(tree({ a: "1" }), tree({ a: "1\n2" }))).toEqual([{ path: "a", what: "different", line: 2 }]);
});

test("a file that was never committed is missing, one that nothing generates any more is stale", () => {
  expect(driftBetween(tree({ a: "" }), tree({ b: "" }))).toEqual([
    { path: "a", what: "stale" },
    { path: "b", what: "missing" },
  ]);
});
