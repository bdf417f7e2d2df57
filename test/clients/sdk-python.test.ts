import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import pino from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fencedBlocks } from "../docs/fenced-blocks.ts";
import { startServer, type TestServer } from "../e2e/server.ts";
import { providerTargets } from "./provider-targets.ts";
import { checkNames, runChecks } from "./python-checks.ts";
import {
  type BuiltPackage,
  buildPackage,
  environmentWith,
  packageFolder,
  pythonsToTest,
  toolsPython,
  wheelOf,
} from "./python-package.ts";

const apiKey = "p".repeat(40);
const pythons = pythonsToTest();
/** What has come since the published client is called by the suite. */
const surfaceCheck = "every public function of the client was called";
let folder = "";
let built: BuiltPackage;
let server: TestServer;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "stacyvm-python-"));
  built = buildPackage(join(folder, "dist"));
  const config = { "auth.api_key": apiKey, "providers.mock.enabled": "true", "server.secrets_key": "s".repeat(40) };
  // A change of settings wakes a silent log up.
  server = await startServer({ config, log: pino({ level: "info" }, { write: () => {} }) });
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

interface Ran {
  readonly code: number | null;
  readonly output: string;
}

/** Runs Python with the server's address and key in its environment. */
const runPython = async (python: string, args: readonly string[], cwd = folder): Promise<Ran> => {
  const env = { ...process.env, STACYVM_URL: server.url, STACYVM_API_KEY: apiKey, PYTHONDONTWRITEBYTECODE: "1" };
  const child = spawn(python, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  const closed = new Promise<number | null>((resolve) => child.once("close", resolve));
  const [code, out, errors] = await Promise.all([closed, text(child.stdout), text(child.stderr)]);
  return { code, output: out + errors };
};

const filesOf = (wheel: string): readonly string[] =>
  execFileSync("python3", ["-m", "zipfile", "-l", wheel], { encoding: "utf8" })
    .split("\n")
    .slice(1)
    .flatMap((line) => line.split(/\s+/)[0] || [])
    .sort();

test("Python 3.9 is tested", (context) => {
  if (!pythons.has("3.9")) context.skip("this machine has no Python 3.9");
  expect(pythons.size).toBe(2);
});

describe.each([...pythons])("the Python client under Python %s", (version, interpreter) => {
  let python = "";
  beforeAll(() => {
    python = environmentWith(interpreter, built.wheel, join(folder, version));
  });

  test("the whole suite passes, blocking and waiting, against real sandboxes, and skips nothing", async () => {
    const { code, output } = await runPython(python, ["-m", "pytest", "--quiet", packageFolder]);
    expect(output).toMatch(/\n\d{3,} passed in /);
    expect([code, /skipped|xfailed|deselected/.exec(output)?.[0]], output).toEqual([0, undefined]);
  }, 300_000);

  test("mypy finds nothing in the package, in its tests, and in a program that uses it", async () => {
    const cache = join(folder, `mypy-${version}`);
    const mypy = (...what: readonly string[]) =>
      runPython(python, ["-m", "mypy", "--strict", "--cache-dir", cache, ...what]);
    expect(await mypy("-p", "stacyvm")).toMatchObject({ code: 0 });
    const tests = await runPython(
      python,
      ["-m", "mypy", "--strict", "--cache-dir", cache, "tests", "examples"],
      packageFolder,
    );
    expect(tests).toMatchObject({ code: 0 });
    const program = join(folder, `program_${version.replace(".", "_")}.py`);
    writeFileSync(
      program,
      'from stacyvm import Client\n\nexit: int = Client().spawn().exec("x").exit_code\ntext: str = Client().spawn().exec("x", output="bytes").stdout\n',
    );
    const misused = await mypy(program);
    expect(misused.output).toContain('Incompatible types in assignment (expression has type "bytes"');
    expect(misused.output).toContain("Found 1 error in 1 file");
  });

  test("what the READMEs show runs", async () => {
    const program = join(folder, `readme_${version.replace(".", "_")}.py`);
    const own = fencedBlocks(readFileSync(join(packageFolder, "README.md"), "utf8"), "python");
    const [first = ""] = fencedBlocks(readFileSync(join(packageFolder, "../README.md"), "utf8"), "python");
    const reached = first.replace('"http://127.0.0.1:7423"', `"${server.url}", "${apiKey}"`);
    writeFileSync(program, [reached, ...own].join("\n"));
    const ran = await runPython(python, [program]);
    expect([ran.code, own.length > 5], ran.output).toEqual([0, true]);
    expect(ran.output).toMatch(/^hello\n\n0 Linux /);
    expect(ran.output).toContain("file_not_found");
  });

  test.each([
    ["basic.py", /^server: ok\n[\s\S]*stdout: Hello from StacyVM!\n[\s\S]*'Hello, world!\\n'\n[\s\S]*destroyed\n$/],
    ["streaming.py", /^1\n2\n3\n\[stdout\] out\n\[stderr\] err\nExecExit\(exit_code=4, /],
    ["parallel.py", /^\['0', '1', '4', '9'\]\n$/],
  ])("the example %s does what it says", async (name, expected) => {
    const ran = await runPython(python, [join(packageFolder, "examples", name)]);
    expect(ran.output).toMatch(expected);
    expect(ran.code).toBe(0);
  });
});

let newest: string | undefined;
/** With our client, made once. */
const newestPython = (): string => {
  const [, interpreter = "python3"] = [...pythons].at(-1) ?? [];
  newest ??= environmentWith(interpreter, built.wheel, join(folder, "newest"));
  return newest;
};

test.each(providerTargets)(
  "everything that the published client is checked for holds for ours on $name",
  async (target) => {
    await using opened = await target.open();
    await using own = await startServer({ config: { ...opened.config, "auth.api_key": apiKey } });
    const reports = await runChecks(newestPython(), own.url, apiKey, target.provider);
    const failed = checkNames.filter((name) => name !== surfaceCheck && reports.get(name)?.ok !== true);
    expect(failed.map((name) => reports.get(name)?.error ?? `${name} did not run`)).toEqual([]);
  },
);

describe("the Python package", () => {
  test("wheel and sdist hold the client and no more, and the sdist makes the same wheel", () => {
    const files = filesOf(built.wheel);
    const modules = execFileSync("git", ["ls-files", "src"], { cwd: packageFolder, encoding: "utf8" })
      .trim()
      .split("\n");
    const record = ["METADATA", "RECORD", "WHEEL", "licenses/LICENSE"].map((name) => `stacyvm-0.2.0.dist-info/${name}`);
    expect(files).toEqual([...modules.map((path) => path.replace(/^src\//, "")), ...record].sort());
    const again = wheelOf(built.sdist, join(folder, "again"));
    expect(filesOf(again)).toEqual(files);
  });

  test("its metadata is valid, and names httpx as the only dependency", async () => {
    const print = [
      "import json, sys, zipfile",
      "from packaging.metadata import Metadata",
      "wheel = zipfile.ZipFile(sys.argv[1])",
      "name = next(name for name in wheel.namelist() if name.endswith('.dist-info/METADATA'))",
      "told = Metadata.from_email(wheel.read(name), validate=True)",
      "print(json.dumps([told.name, str(told.version), [str(one) for one in told.requires_dist or []],",
      "    str(told.requires_python), told.description_content_type, told.license_expression, len(told.description) > 1000]))",
    ].join("\n");
    const { output } = await runPython(toolsPython(), ["-c", print, built.wheel]);
    expect(JSON.parse(output)).toEqual([
      "stacyvm",
      "0.2.0",
      ["httpx<1,>=0.27.0"],
      ">=3.9",
      "text/markdown",
      "Apache-2.0",
      true,
    ]);
  });

  test("ruff finds nothing, in style or in format", async () => {
    for (const what of [["check"], ["format", "--check"]]) {
      const ran = await runPython(toolsPython(), ["-m", "ruff", ...what, "--no-cache", packageFolder]);
      expect(ran.code, ran.output).toBe(0);
    }
  });
});
