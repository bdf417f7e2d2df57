import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { installPacked } from "./packed.ts";

const run = promisify(execFile);
const root = dirname(dirname(fileURLToPath(import.meta.url)));
let home = "";

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "stacyvm-packed-"));
  await installPacked(home);
}, 120_000);

afterAll(() => rm(home, { recursive: true, force: true }));

const names = ["Client", "Sandbox", "TemplateManager", "StacyVMError", "SandboxNotFoundError", "ProviderError"].concat([
  "ConnectionError",
  "handleResponse",
  "parseNDJSON",
  "SandboxFiles",
  "SandboxProcess",
  "SandboxProcesses",
  "QuotaManager",
  "ApiKeyManager",
  "SandboxNetwork",
  "ConfigManager",
  "MemberManager",
  "OwnTenantManager",
  "ProjectManager",
  "RegistryCredentialManager",
  "SecretManager",
  "TenantManager",
]);
const print = "console.log(JSON.stringify(Object.keys(sdk)))";

test.each([
  ["an ES module", "a.mjs", `import * as sdk from "stacyvm"; ${print}`],
  ["CommonJS", "a.cjs", `const sdk = require("stacyvm"); ${print}`],
])("the tarball loads as %s with every export", async (_, file, code) => {
  await writeFile(join(home, file), code);
  const { stdout } = await run(process.execPath, [join(home, file)]);
  expect(new Set(JSON.parse(stdout))).toEqual(new Set(names));
});

test("the tarball holds the two forms, their types, the README and the licence, and no source", async () => {
  const { stdout } = await run("find", [".", "-type", "f"], { cwd: join(home, "node_modules", "stacyvm") });
  expect(stdout.trim().split("\n").sort()).toEqual([
    "./LICENSE",
    "./README.md",
    "./dist/index.cjs",
    "./dist/index.d.cts",
    "./dist/index.d.ts",
    "./dist/index.js",
    "./package.json",
  ]);
});

test.each(["dist/index.js", "dist/index.cjs"])("%s needs no module of any runtime", async (file) => {
  const code = await readFile(join(home, "node_modules", "stacyvm", file), "utf8");
  expect(code).not.toMatch(/\brequire\(|^import |\bimport\(|node:|\bprocess\.|\bBuffer\b/m);
});

test.each(["types.mts", "types.cts"])(
  "the declarations type the surface for %s, checked strictly",
  async (file) => {
    await cp(join(root, "test", "types.test-d.ts"), join(home, file));
    const options = { strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false, noEmit: true, types: [] };
    const compilerOptions = { ...options, target: "es2022", module: "nodenext", lib: ["es2022", "dom"] };
    await writeFile(join(home, "tsconfig.json"), JSON.stringify({ compilerOptions, files: [file] }));
    const failure = await run("tsc", ["-p", home]).catch((error: { stdout: string }) => error);
    expect(failure.stdout).toBe("");
  },
  60_000,
);
