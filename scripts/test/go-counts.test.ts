import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { unexplained } from "./counts.ts";
import { goCounts, goOutput } from "./go-counts.ts";

describe("the counts of a real `go test -json`", () => {
  let folder = "";
  let ndjson = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "go-counts-"));
    const file = (name: string, text: string) => writeFileSync(join(folder, name), text);
    file("go.mod", "module example\n\ngo 1.26\n");
    file(
      "a_test.go",
      `package a
import "testing"
func TestPasses(t *testing.T) {}
func TestFails(t *testing.T) { t.Fatal("wanted") }
func TestSkips(t *testing.T) { t.Log("before"); t.Skip("no engine: here") }
func TestSkipsMute(t *testing.T) { t.SkipNow() }
func TestTree(t *testing.T) {
	t.Run("one", func(t *testing.T) {})
	t.Run("two", func(t *testing.T) { t.Run("deep", func(t *testing.T) {}) })
}
`,
    );
    for (const [name, body] of [
      ["broken", "func TestBroken(t *testing.T) { undefined() }"],
      ["dying", 'func TestBefore(t *testing.T) {}\nfunc TestDying(t *testing.T) { panic("gone") }'],
    ] as const) {
      execFileSync("mkdir", [join(folder, name)]);
      file(join(name, "a_test.go"), `package ${name}\nimport "testing"\n${body}\n`);
    }
    ndjson = spawnSync("go", ["test", "-json", "./..."], { cwd: folder, encoding: "utf8" }).stdout;
  }, 120_000);
  afterAll(() => rmSync(folder, { recursive: true }));

  test("leaves are counted, and a test with subtests is counted by them", () => {
    expect(goCounts(ndjson).seen).toEqual(
      expect.arrayContaining(["example TestPasses", "example TestTree/one", "example TestTree/two/deep"]),
    );
    expect(goCounts(ndjson).seen).not.toContain("example TestTree");
    expect(goCounts(ndjson).passed).toBe(4);
  });

  test("a failing test, a package that doesn't compile and a panic are one failure each", () => {
    expect(goCounts(ndjson).failed).toBe(3);
  });

  test("a skip carries the words given to it", () => {
    expect(goCounts(ndjson).skips).toEqual([
      { name: "example TestSkips", reason: "no engine: here" },
      { name: "example TestSkipsMute", reason: unexplained },
    ]);
  });

  test("what is shown to people is what go would have printed", () => {
    expect(goOutput(ndjson)).toMatch(/--- FAIL: TestFails/);
    expect(goOutput(ndjson)).toMatch(/undefined: undefined|not enough|undefined/);
    expect(goOutput(ndjson)).not.toContain('"Action"');
  });
});

test("a test that began and never ended is a failure", () => {
  const began = JSON.stringify({ Action: "run", Package: "p", Test: "TestA" });
  expect(goCounts(`${began}\n`)).toMatchObject({ passed: 0, failed: 1 });
});

test("lines that are not JSON are shown and not counted", () => {
  expect(goCounts("go: no such tool\n")).toMatchObject({ passed: 0, failed: 0, seen: [] });
  expect(goOutput("go: no such tool\n")).toBe("go: no such tool\n");
});
