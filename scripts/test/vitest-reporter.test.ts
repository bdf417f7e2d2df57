import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, expect, test } from "vitest";
import type { Counts } from "./counts.ts";
import { countsFileVariable } from "./vitest-reporter.ts";

const root = resolve(import.meta.dirname, "..", "..");
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

const countsOf = (source: string): Counts => {
  const folder = mkdtempSync(join(tmpdir(), "reporter-"));
  folders.push(folder);
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  writeFileSync(join(folder, "vitest.config.js"), "export default {};\n");
  writeFileSync(join(folder, "a.test.ts"), `import { beforeAll, describe, expect, test } from "vitest";\n${source}\n`);
  const reporter = join(import.meta.dirname, "vitest-reporter.ts");
  const counts = join(folder, "counts.json");
  spawnSync("vitest", ["run", "--root", folder, `--reporter=${reporter}`], {
    env: { ...process.env, [countsFileVariable]: counts },
  });
  return JSON.parse(readFileSync(counts, "utf8"));
};

test("passes, failures and skips are counted, and a skip keeps its note", () => {
  const counts = countsOf(`
    test("passes", () => {});
    test("fails", () => expect(1).toBe(2));
    describe("inner", () => { test("skips", (context) => context.skip("no engine")); });
    describe.skip("set aside", () => { test("never runs", () => {}); });
    test.todo("later");`);
  expect(counts).toMatchObject({ passed: 1, failed: 1 });
  expect(counts.skips.map(({ name, reason }) => `${name}: ${reason}`)).toEqual([
    "a.test.ts inner > skips: no engine",
    "a.test.ts set aside > never runs: no reason given",
    "a.test.ts later: no reason given",
  ]);
  expect(counts.seen).toContain("a.test.ts passes");
  expect(counts.tookMs?.["a.test.ts"]).toBeGreaterThan(0);
});

test("a file that doesn't load is a failure", () => {
  expect(countsOf('throw new Error("broken");')).toMatchObject({ passed: 0, failed: 1 });
});

test("a suite whose preparation fails is a failure", () => {
  const source = 'describe("s", () => { beforeAll(() => { throw new Error("no"); }); test("t", () => {}); });';
  expect(countsOf(source).failed).toBeGreaterThan(0);
});

test("an error that no test caught is a failure", () => {
  expect(countsOf('test("t", () => { Promise.reject(new Error("stray")); });')).toMatchObject({ passed: 1, failed: 1 });
});
