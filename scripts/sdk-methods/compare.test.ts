import { expect, test } from "vitest";
import { compareSurfaces } from "./compare.ts";
import { pythonClient } from "./python.ts";
import { compareShapes } from "./shapes.ts";
import { snakeCase } from "./snake-case.ts";
import type { Surface } from "./surface.ts";
import { typescriptShapes, typescriptSurface } from "./typescript.ts";

const typescript = typescriptSurface();
const { surface: python, shapes } = pythonClient();
const complaints = (ours: Surface, theirs: Surface) => compareSurfaces(ours, theirs).complaints;

/** The surface with a member more, changed, or without it. */
const changed = (surface: Surface, owner: string, name: string, takes?: readonly string[] | null): Surface => {
  const members = new Map(surface.get(owner));
  if (takes === null) members.delete(name);
  else members.set(name, takes);
  return new Map([...surface, [owner, members]]);
};

test("what one client has the other has, or it is said why not", () => {
  expect(complaints(typescript, python)).toEqual([]);
});

test("a method, a property or a parameter that one of them lacks is found", () => {
  expect(complaints(typescript, changed(python, "Sandbox", "stats", null))).toEqual(["Python has no Sandbox.stats"]);
  expect(complaints(typescript, changed(python, "SandboxFiles", "chown", []))).toEqual([
    "TypeScript has no SandboxFiles.chown",
  ]);
  expect(complaints(changed(typescript, "Client", "listAll", null), python)).toEqual([
    "TypeScript has no Client.list_all",
  ]);
  expect(complaints(changed(typescript, "Sandbox", "logs", ["lines", "since"]), python)).toEqual([
    "Sandbox.logs takes (lines, since) by the rules, Python's takes (lines, request_timeout)",
  ]);
  expect(complaints(typescript, changed(python, "Sandbox", "memory_mb", []))).toEqual([
    "Sandbox.memoryMb is a property here and a method in Python",
  ]);
});

test("a class that one of them lacks is found", () => {
  const without: Surface = new Map([...python].filter(([owner]) => owner !== "QuotaManager"));
  expect(complaints(typescript, without)).toContain("Python has no class QuotaManager");
  expect(complaints(typescript, changed(python, "Volume", "id", []))).toEqual(["TypeScript has no class Volume"]);
});

test("a difference that is no longer one is found", () => {
  expect(complaints(changed(typescript, "Client", "close", []), python)).toEqual([
    expect.stringContaining("a difference is listed that isn't there"),
  ]);
});

test("both readers see what is there", () => {
  expect(typescript.get("SandboxProcess")?.get("output")).toContain("pastExit");
  expect(python.get("SandboxProcess")?.get("output")).toContain("past_exit");
  expect(typescript.get("Sandbox")?.has("id")).toBe(true);
  expect(python.get("Sandbox")?.has("id")).toBe(true);
  expect(snakeCase("poolStatus")).toBe("pool_status");
});

test("what comes back has the same fields in both clients, or it is said why not", () => {
  expect(compareShapes(typescriptShapes(), shapes)).toEqual([]);
});

test("a field that one of them lacks is found", () => {
  const ours = typescriptShapes();
  expect(compareShapes(ours, new Map([...shapes, ["ExecResult", ["exit_code"]]]))).toContain(
    "Python's ExecResult has no truncated",
  );
  expect(compareShapes(ours, new Map([...shapes, ["FileLink", ["url", "expires_at", "method"]]]))).toEqual([
    "TypeScript's FileLink has no method",
  ]);
  expect(compareShapes(new Map([...ours, ["Volume", ["id"]]]), shapes)).toEqual(["Python has no Volume"]);
});
