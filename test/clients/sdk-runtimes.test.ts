import { execFile } from "node:child_process";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { installPacked } from "../../packages/sdk/test/packed.ts";
import { startServer, type TestServer } from "../e2e/server.ts";
import { driven } from "./driven.ts";
import { missing, type Runtime, runtimes } from "./runtimes.ts";

const apiKey = "k".repeat(40);
const driveTimeoutMs = 60_000;
let server: TestServer;
let home = "";

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "stacyvm-runtimes-"));
  await installPacked(home);
  await cp(join(import.meta.dirname, "javascript"), home, { recursive: true });
  server = await startServer({ config: { "auth.api_key": apiKey } });
});

afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await rm(home, { recursive: true, force: true });
});

const run = async (runtime: Runtime, file: string): Promise<unknown> => {
  const options = { cwd: home, timeout: driveTimeoutMs, env: { HOME: home, PATH: process.env.PATH, NO_COLOR: "1" } };
  const argv = [...runtime.args, file, server.url, apiKey];
  const { stdout } = await promisify(execFile)(runtime.program, argv, options);
  return JSON.parse(stdout);
};

test.for(runtimes.flatMap((runtime) => ["main.mjs", "main.cjs"].map((file) => ({ ...runtime, file }))))(
  "the packed client does everything in $name from $file",
  async (runtime, context) => {
    const reason = missing(runtime);
    if (reason !== undefined) context.skip(reason);
    expect(await run(runtime, runtime.file)).toEqual(driven);
  },
);
