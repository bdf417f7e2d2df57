import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startServer } from "../e2e/server.ts";
import { providerTargets } from "./provider-targets.ts";
import { pythonWith } from "./python-venv.ts";

const folder = join(import.meta.dirname, "python");
const drive = join(folder, "drive.py");
const apiKey = "p".repeat(40);
const names: readonly string[] = JSON.parse(execFileSync("python3", ["-B", drive, "--list"], { encoding: "utf8" }));

interface Report {
  readonly name: string;
  readonly ok: boolean;
  readonly error?: string;
}

const runChecks = async (url: string, provider: string): Promise<ReadonlyMap<string, Report>> => {
  const python = pythonWith(join(folder, "requirements.txt"));
  const child = spawn(python, ["-B", drive, url, apiKey, provider], { stdio: ["ignore", "pipe", "inherit"] });
  const [output] = await Promise.all([text(child.stdout), once(child, "close")]);
  const reports: readonly Report[] = output
    .trim()
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  return new Map(reports.map((report) => [report.name, report]));
};

describe.each(providerTargets)("the Python client that was published before this server, against $name", (target) => {
  const stack = new AsyncDisposableStack();
  let reports: ReadonlyMap<string, Report>;
  beforeAll(async () => {
    const { config } = stack.use(await target.open());
    const server = stack.use(await startServer({ config: { ...config, "auth.api_key": apiKey } }));
    reports = await runChecks(server.url, target.provider);
  });
  afterAll(() => stack.disposeAsync());

  test.each(names)("%s", (name) => {
    const report = reports.get(name);
    expect(report?.error ?? "").toBe("");
    expect(report?.ok, "the check didn't run").toBe(true);
  });
});
