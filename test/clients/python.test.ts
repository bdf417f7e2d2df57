import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startServer } from "../e2e/server.ts";
import { providerTargets } from "./provider-targets.ts";
import { checkNames, type Report, runChecks } from "./python-checks.ts";
import { pythonWith } from "./python-venv.ts";

const folder = join(import.meta.dirname, "python");
const apiKey = "p".repeat(40);

describe.each(providerTargets)("the Python client that was published before this server, against $name", (target) => {
  const stack = new AsyncDisposableStack();
  let reports: ReadonlyMap<string, Report>;
  beforeAll(async () => {
    const { config } = stack.use(await target.open());
    const server = stack.use(await startServer({ config: { ...config, "auth.api_key": apiKey } }));
    reports = await runChecks(pythonWith(join(folder, "requirements.txt")), server.url, apiKey, target.provider);
  });
  afterAll(() => stack.disposeAsync());

  test.each(checkNames)("%s", (name) => {
    const report = reports.get(name);
    expect(report?.error ?? "").toBe("");
    expect(report?.ok, "the check didn't run").toBe(true);
  });
});
