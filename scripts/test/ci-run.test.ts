import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, expect, test } from "vitest";

const root = resolve(import.meta.dirname, "..", "..");
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** Runs a copy of .ci/run with an npm that answers as told. */
const run = (npmTest: string, npmUp: string) => {
  const folder = mkdtempSync(join(tmpdir(), "ci-run-"));
  folders.push(folder);
  cpSync(join(root, ".ci"), join(folder, ".ci"), { recursive: true });
  mkdirSync(join(folder, "bin"));
  const npm = `#!/bin/sh\ncase "$*" in\n"test") ${npmTest};;\n"run up -- --once") ${npmUp};;\n*) exit 9;;\nesac\n`;
  writeFileSync(join(folder, "bin", "npm"), npm);
  chmodSync(join(folder, "bin", "npm"), 0o755);
  const env = { ...process.env, PATH: `${join(folder, "bin")}:${process.env.PATH}` };
  const { status, stdout } = spawnSync(join(folder, ".ci", "run"), [], { encoding: "utf8", env });
  return { status, last: stdout.trimEnd().split("\n").at(-1) };
};

test("both commands green: exit 0, the counts stand last, and `up` is one more check", () => {
  expect(run("echo '7 passed, 0 failed, 2 skipped'", "echo up")).toEqual({
    status: 0,
    last: "8 passed, 0 failed, 2 skipped",
  });
});

test("a red test is red", () => {
  expect(run("echo '7 passed, 1 failed, 0 skipped'; exit 1", "echo up")).toEqual({
    status: 1,
    last: "8 passed, 1 failed, 0 skipped",
  });
});

test("a machine that doesn't come up is red", () => {
  expect(run("echo '7 passed, 0 failed, 0 skipped'", "exit 3")).toEqual({
    status: 1,
    last: "7 passed, 1 failed, 0 skipped",
  });
});

test("a test run that died without counts is red", () => {
  expect(run("exit 137", "echo up")).toMatchObject({ status: 1, last: "1 passed, 1 failed, 0 skipped" });
});

test("green counts don't hide a test command that failed", () => {
  expect(run("echo '7 passed, 0 failed, 0 skipped'; exit 1", "echo up").status).toBe(1);
});
