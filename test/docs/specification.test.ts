import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { quotedRows, testExists } from "./quoted-tests.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const rows = quotedRows(readFileSync(`${root}SPECIFICATION.md`, "utf8"), ["proved", "partial", "pending"]);

test("every test that SPECIFICATION names stands in the repository", () => {
  const named = rows.flatMap((row) => row.tests);
  expect(named.length).toBeGreaterThan(40);
  expect(named.filter((one) => !testExists(root, one))).toEqual([]);
});

test("a promise without a test is pending, one with a test isn't", () => {
  const wrong = rows.filter((row) => (row.status === "pending") === row.tests.length > 0);
  expect(wrong.map((row) => row.text)).toEqual([]);
});
