import { spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { checkFloors } from "./floors/check.ts";

const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true });
});

const manifests = {
  contract: { name: "@stacyvm/contract", dependencies: { zod: "1.0.0", yaml: "1.0.0" } },
  server: { name: "@stacyvm/server", dependencies: { "@stacyvm/contract": "0.1.0", kysely: "1.0.0" } },
  sdk: { name: "stacyvm" },
  cli: { name: "@stacyvm/cli", dependencies: { "@stacyvm/server": "0.1.0" } },
};

/** A clean repository of four packages in a temporary folder, with the given files on top. */
const plant = (files: Readonly<Record<string, string>>): string => {
  const root = mkdtempSync(join(tmpdir(), `floors-${randomUUID()}-`));
  roots.push(root);
  const all: Record<string, string> = {
    "packages/server/src/main.ts": 'import "./control-plane.ts";\nimport "./worker.ts";\n',
    "packages/server/src/control-plane.ts": 'import "./http/app.ts";\nimport "./providers/registry.ts";\n',
    "packages/server/src/worker.ts": 'import "./guest/agent/connect.ts";\n',
    "packages/server/src/http/app.ts":
      'import "../preview/proxy.ts";\nimport "../orchestrator/spawn.ts";\nimport "node:http";\n',
    "packages/server/src/preview/proxy.ts":
      'import type { Guest } from "../guest/guest.ts";\nexport type Proxy = Guest;\n',
    "packages/server/src/orchestrator/spawn.ts":
      'import "../audit/record.ts";\nimport "../sandbox/rules.ts";\nimport "@stacyvm/contract";\nimport "../providers/provider.ts";\n',
    "packages/server/src/audit/record.ts": 'import "../store/store.ts";\n',
    "packages/server/src/providers/registry.ts": 'import "./oci/oci.ts";\nimport "./mock/mock.ts";\n',
    "packages/server/src/providers/shared.ts": 'import "../lib/clock.ts";\n',
    "packages/server/src/providers/oci/oci.ts":
      'import "../shared.ts";\nimport "./spec.ts";\nimport "../provider.ts";\n',
    "packages/server/src/providers/oci/oci.test.ts":
      'import "../mock/mock.ts";\nimport "../../main.ts";\nnew Date();\n',
    "packages/server/src/guest/agent/connect.ts": 'import "../guest.ts";\nimport "../wire/guest_pb.js";\n',
    "packages/server/src/config/load.ts": "export const home = process.env.HOME;\n",
    "packages/server/src/lib/id.ts":
      'import { randomUUID } from "node:crypto";\nexport const id = () => randomUUID();\n',
    "packages/server/src/lib/clock.ts": "export const now = () => Date.now();\n",
    "packages/server/src/store/row.ts": "export const at = (ms: number) => new Date(ms);\n",
    "packages/contract/src/index.ts": 'import { z } from "zod";\nexport const name = z;\n',
    "packages/sdk/src/index.ts": "export const open = () => fetch;\n",
    "packages/cli/src/main.ts": 'import "@stacyvm/server";\nimport "node:fs";\n',
    "scripts/setup.js":
      'import { spawn } from "node:child_process";\nspawn("sh", ["-c", "echo $1", "sh", process.argv[2]]);\n',
    ...files,
  };
  for (const [folder, manifest] of Object.entries(manifests))
    all[`packages/${folder}/package.json`] ??= JSON.stringify(manifest);
  for (const [path, text] of Object.entries(all)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
};

test("a tree that keeps to the floors has no breach", () => {
  const { breaches, fileCount } = checkFloors(plant({}));
  expect(breaches).toEqual([]);
  expect(fileCount).toBe(20);
});

/** What was planted, where, and the words by which it is refused. */
const planted: readonly (readonly [guarantee: string, file: string, text: string, refusal: RegExp])[] = [
  [
    "a lower floor never imports a higher one",
    "server/src/sandbox/rules.ts",
    'import "../http/app.ts";',
    /floor 2\) imports http \(floor 5/,
  ],
  [
    "type imports count",
    "server/src/lib/a.ts",
    'import type { X } from "../sandbox/rules.ts";',
    /lib \(floor 0\) imports sandbox/,
  ],
  [
    "re-exports count",
    "server/src/lib/a.ts",
    'export * from "../sandbox/rules.ts";',
    /lib \(floor 0\) imports sandbox/,
  ],
  [
    "named re-exports count",
    "server/src/lib/a.ts",
    'export { x } from "../sandbox/rules.ts";',
    /lib \(floor 0\) imports sandbox/,
  ],
  [
    "dynamic imports count",
    "server/src/lib/a.ts",
    'await import("../sandbox/rules.ts");',
    /lib \(floor 0\) imports sandbox/,
  ],
  [
    "import types count",
    "server/src/lib/a.ts",
    'export type A = import("../sandbox/rules.ts").X;',
    /lib \(floor 0\) imports sandbox/,
  ],
  ["require counts", "server/src/lib/a.cjs", 'require("../sandbox/rules.ts");', /lib \(floor 0\) imports sandbox/],
  ["a computed import is refused", "server/src/http/a.ts", "await import(process.argv[2]);", /computed name/],
  [
    "use cases never import adapters",
    "server/src/orchestrator/a.ts",
    'import "../store/row.ts";',
    /orchestrator \(floor 4\) imports store/,
  ],
  [
    "adapters never import use cases",
    "server/src/store/a.ts",
    'import "../orchestrator/spawn.ts";',
    /store \(floor 4\) imports orchestrator/,
  ],
  [
    "adapters never import one another",
    "server/src/providers/oci/a.ts",
    'import "../../guest/agent/connect.ts";',
    /providers \(floor 4\) imports guest/,
  ],
  [
    "a provider never imports another",
    "server/src/providers/oci/a.ts",
    'import "../mock/mock.ts";',
    /provider oci imports the provider mock/,
  ],
  [
    "what providers share imports none of them",
    "server/src/providers/shared.ts",
    'import "./mock/mock.ts";',
    /imports the provider mock/,
  ],
  [
    "the interfaces import nothing above them",
    "server/src/store/store.ts",
    'import "./row.ts";',
    /store\/store\.ts \(floor 3\) imports store/,
  ],
  [
    "nobody imports the control plane",
    "server/src/http/a.ts",
    'import "../control-plane.ts";',
    /imports control-plane\.ts/,
  ],
  ["nobody imports the worker", "server/src/control-plane.ts", 'import "./worker.ts";', /imports worker\.ts/],
  ["nobody inside imports main.ts", "server/src/http/a.ts", 'import "../main.ts";', /imports main\.ts/],
  ["a folder without a floor is refused", "server/src/helpers/a.ts", "export {};", /stands on no floor/],
  ["lib never imports the contract", "server/src/lib/a.ts", 'import "@stacyvm/contract";', /imports the contract/],
  ["an undeclared dependency is refused", "server/src/http/a.ts", 'import "pino";', /imports pino/],
  ["a package declares what it imports from a sibling", "cli/src/a.ts", 'import "stacyvm";', /imports stacyvm/],
  [
    "no package reaches into another by path",
    "cli/src/a.ts",
    'import "../../server/src/main.ts";',
    /outside its package/,
  ],
  ["no package imports itself by name", "cli/src/a.ts", 'import "@stacyvm/cli";', /own package/],
  ["the contract imports only zod, declared or not", "contract/src/a.ts", 'import "yaml";', /imports yaml/],
  ["the contract runs without Node's modules", "contract/src/a.ts", 'import "node:fs";', /imports node:fs/],
  ["the SDK imports nothing from outside", "sdk/src/a.ts", 'import { z } from "zod";', /imports zod/],
  ["the SDK runs without Node's modules", "sdk/src/a.ts", 'import { Buffer } from "buffer";', /imports buffer/],
  [
    "only config/load.ts reads process.env",
    "server/src/http/a.ts",
    "export const a = process.env.HOME;",
    /reads process\.env/,
  ],
  ['process["env"] counts', "server/src/http/a.ts", 'export const a = process["env"];', /reads process\.env/],
  ["a destructured env counts", "server/src/http/a.ts", "const { env } = process;", /reads process\.env/],
  ["an imported env counts", "server/src/config/a.ts", 'import { env } from "node:process";', /reads env/],
  [
    "globalThis.process.env counts",
    "server/src/http/a.ts",
    "export const a = globalThis.process.env;",
    /reads process\.env/,
  ],
  ["Date.now is the clock's", "server/src/sandbox/a.ts", "export const a = Date.now();", /uses Date\.now/],
  ["new Date() is the clock's", "server/src/sandbox/a.ts", "export const a = new Date();", /uses new Date\(\)/],
  ["Date() is the clock's", "server/src/sandbox/a.ts", "export const a = Date();", /uses Date\(\)/],
  ["Math.random is refused", "server/src/sandbox/a.ts", "export const a = Math.random();", /uses Math\.random/],
  [
    "an imported randomUUID is refused",
    "server/src/store/a.ts",
    'import { randomUUID as r } from "node:crypto";',
    /uses randomUUID/,
  ],
  [
    "crypto.randomUUID is refused",
    "server/src/store/a.ts",
    "export const a = crypto.randomUUID();",
    /uses crypto\.randomUUID/,
  ],
  ["exec is refused", "server/src/http/a.ts", 'import { exec } from "node:child_process";', /through a shell \(exec\)/],
  [
    "a renamed execSync is refused",
    "cli/src/a.ts",
    'import { execSync as run } from "child_process";',
    /through a shell \(execSync\)/,
  ],
  [
    "exec of the whole module is refused",
    "cli/src/a.ts",
    'import * as c from "node:child_process";\nc.exec("ls");',
    /through a shell \(c\.exec\)/,
  ],
  ["shell: true is refused", "cli/src/a.ts", 'spawn("ls", [], { shell: true });', /through a shell/],
  ["a shell's path is refused too", "cli/src/a.ts", 'spawn("ls", [], { shell: "/bin/bash" });', /through a shell/],
  [
    "a command built from values is refused",
    "cli/src/a.ts",
    "spawn('sh', ['-c', 'rm ' + x]);",
    /builds a shell command/,
  ],
  [
    "tests run no shell either",
    "server/src/http/a.test.ts",
    'import { exec } from "node:child_process";',
    /through a shell/,
  ],
  ["a file that can't be parsed is never clean", "sdk/src/a.ts", "export const = ;", /cannot be parsed/],
];

describe("a planted breach is refused", () => {
  test.each(planted)("%s", (_guarantee, file, text, refusal) => {
    const { breaches } = checkFloors(plant({ [`packages/${file}`]: `\n${text}\n` }));
    expect(breaches.map(({ what }) => what)).toEqual([expect.stringMatching(refusal)]);
    expect(breaches[0]?.file).toBe(`packages/${file}`);
    expect(breaches[0]?.remedy).toMatch(/\w/);
  });

  test("a runtime dependency of the SDK", () => {
    const manifest = JSON.stringify({ name: "stacyvm", dependencies: { zod: "1.0.0" } });
    const { breaches } = checkFloors(plant({ "packages/sdk/package.json": manifest }));
    expect(breaches).toMatchObject([{ file: "packages/sdk/package.json", what: expect.stringContaining("zod") }]);
  });

  test("in scripts, where no package's rules hold", () => {
    const { breaches } = checkFloors(plant({ "scripts/a.js": 'import { exec } from "node:child_process";' }));
    expect(breaches).toMatchObject([{ file: "scripts/a.js", line: 1 }]);
  });
});

describe("the command", () => {
  const run = (root: string) =>
    spawnSync(process.execPath, [resolve(import.meta.dirname, "floors.ts"), root], { encoding: "utf8" });

  test("names file, line, breach and remedy, and exits 1", () => {
    const { status, stderr } = run(plant({ "packages/server/src/http/a.ts": '\n\nimport "pino";\n' }));
    expect(status).toBe(1);
    expect(stderr).toContain("packages/server/src/http/a.ts:3  imports pino\n    declare it with an exact version");
  });

  test("fails where it finds nothing to read, instead of passing", () => {
    const root = mkdtempSync(join(tmpdir(), `floors-${randomUUID()}-`));
    roots.push(root);
    mkdirSync(join(root, "packages"));
    expect(run(root)).toMatchObject({ status: 1, stderr: expect.stringContaining("nothing was checked") });
  });
});
