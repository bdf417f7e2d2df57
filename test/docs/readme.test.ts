import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { installPacked } from "../../packages/sdk/test/packed.ts";
import { runProgram } from "../e2e/cli-process.ts";
import { startServer, type TestServer } from "../e2e/server.ts";
import { fencedBlocks } from "./fenced-blocks.ts";

const root = join(import.meta.dirname, "../..");
const readme = readFileSync(join(root, "README.md"), "utf8");
const sdkReadme = readFileSync(join(root, "packages/sdk/README.md"), "utf8");
let server: TestServer;
/** A project with the packed client. */
let project = "";
/** A folder that looks like the repository to whoever types commands in it. */
let checkout = "";

beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), "stacyvm-readme-"));
  checkout = await mkdtemp(join(tmpdir(), "stacyvm-readme-"));
  symlinkSync(join(root, "node_modules"), join(checkout, "node_modules"));
  await installPacked(project);
  server = await startServer();
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  for (const folder of [project, checkout]) await rm(folder, { recursive: true, force: true });
});

const block = (document: string, language: string, word: string): string => {
  const found = fencedBlocks(document, language).filter((text) => text.includes(word));
  if (found.length !== 1) throw new Error(`${found.length} blocks of ${language} have ${word}`);
  return (found[0] ?? "").replaceAll(/http:\/\/(127\.0\.0\.1|localhost):7423/g, server.url);
};

/** As typed, but stopping where a step fails. */
const type = async (text: string): Promise<string> => {
  // Where bash takes its input for a network connection it reads the machine's start-up file.
  const args = ["--norc", "-euo", "pipefail", "-c", text];
  const { status, stdout, stderr } = await runProgram("bash", args, {
    cwd: checkout,
    env: { STACYVM_SERVER: server.url },
  });
  expect([status, stderr], stdout).toEqual([0, ""]);
  return stdout;
};

const living = async () => await (await fetch(`${server.url}/api/v1/sandboxes`)).json();

test("the tour by curl does what it says", async () => {
  const told = await type(block(readme, "sh", "API="));
  expect(told).not.toContain('"code":');
  expect(told).toMatch(/"stdout":"\/root\\n\d+\\n"/);
  expect(told).toContain('"stdout":"total ');
  expect(told.match(/"stream":"stdout"/g)).toHaveLength(3);
  expect(told).toContain('"stream":"exit"');
  expect(readFileSync(join(checkout, "back.csv"), "utf8")).toBe(readFileSync(join(checkout, "data.csv"), "utf8"));
  expect(await living()).toEqual([]);
});

test("the tour by the command line does what it says", async () => {
  const lines = (await type(block(readme, "sh", "stacyvm spawn"))).split("\n");
  expect(lines).toEqual([
    "42",
    expect.stringMatching(/^ID /),
    expect.stringMatching(/^sb-\w+ +running /),
    expect.stringMatching(/^Sandbox sb-\w+ destroyed$/),
    "",
  ]);
  expect(await living()).toEqual([]);
});

test("the server for others starts with the key that is made for it, and ends at Ctrl-C", async () => {
  const [leader, serving] = [Promise.withResolvers<number>(), Promise.withResolvers<void>()];
  const running = runProgram("bash", ["--norc", "-c", block(readme, "sh", "stacyvm serve")], {
    cwd: checkout,
    env: { STACYVM_SERVER_PORT: "0", STACYVM_DATA_DIR: join(checkout, "data") },
    onStart: leader.resolve,
    onOutput: (stdout) => stdout.includes('"serving"') && serving.resolve(),
  });
  await Promise.race([serving.promise, running]);
  process.kill(-(await leader.promise), "SIGINT");
  const ran = await running;
  expect(ran).toMatchObject({ stderr: "", stdout: expect.stringContaining("http://0.0.0.0:") });
  expect(ran.stdout).toContain('"msg":"shutting down"');
});

test.each<[string, string, RegExp]>([
  ["README.md", readme, /^hello\n\n$/],
  ["packages/sdk/README.md", sdkReadme, /^0 Linux [\s\S]*path: '\/workspace\/data\.bin',\n {2}size: 3,/],
])("the program of %s does what it says", async (_, document, expected) => {
  writeFileSync(join(project, "program.mts"), block(document, "ts", "new Client("));
  const { stdout, stderr, status } = await runProgram(process.execPath, ["program.mts"], { cwd: project });
  expect([status, stderr]).toEqual([0, ""]);
  expect(stdout).toMatch(expected);
  expect(await living()).toEqual([]);
});

test("every snippet of TypeScript compiles against the packed declarations", async () => {
  const prelude = 'import { Client, type Sandbox } from "stacyvm";\ndeclare const client: Client, sandbox: Sandbox;\n';
  const files = [readme, sdkReadme]
    .flatMap((document) => fencedBlocks(document, "ts"))
    .map((text, at) => {
      writeFileSync(join(project, `snippet-${at}.mts`), text.includes("import ") ? text : prelude + text);
      return `snippet-${at}.mts`;
    });
  const types = [join(root, "node_modules/@types/node")];
  const compilerOptions = { strict: true, noEmit: true, target: "es2022", module: "nodenext", types };
  writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, files }));
  const { stdout, status } = await runProgram("tsc", ["-p", project]);
  expect([files.length > 3, stdout, status]).toEqual([true, "", 0]);
});
