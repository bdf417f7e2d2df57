import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { quotedRows, testExists } from "./quoted-tests.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const markdown = readFileSync(`${root}docs/security/threat-model.md`, "utf8");
const rows = quotedRows(markdown, ["mitigated", "partial", "open"]);

test("a mitigated threat names a test, and every named test stands in the repository", () => {
  expect(rows.length).toBeGreaterThan(30);
  expect(rows.filter((row) => row.status === "mitigated" && row.tests.length === 0)).toEqual([]);
  expect(rows.flatMap((row) => row.tests).filter((one) => !testExists(root, one))).toEqual([]);
});

test("every verb of the host program has its row", () => {
  const source = readFileSync(`${root}native/internal/host/serve.go`, "utf8");
  const verbs = [...source.matchAll(/^\t"([a-z-]+)": +typed\(/gm)].map(([, verb = ""]) => verb);
  expect(verbs).toContain("spawn");
  const named = [...markdown.matchAll(/^\| T-([a-z-]+) /gm)].map(([, verb = ""]) => verb);
  expect(named.toSorted()).toEqual([...verbs, "serve", "mock-init", "proot-init"].toSorted());
});
