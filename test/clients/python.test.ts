import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startServer, type TestServer } from "../e2e/server.ts";
import { checkNames, type Report, runChecks } from "./python-checks.ts";
import { pythonWith } from "./python-venv.ts";

const folder = join(import.meta.dirname, "python");
const apiKey = "p".repeat(40);

describe.each(["oci", "mock"])("the Python client that was published before this server, against %s", (provider) => {
  let server: TestServer;
  let reports: ReadonlyMap<string, Report>;
  beforeAll(async () => {
    const config = { "auth.api_key": apiKey, "providers.default": provider, "providers.mock.enabled": "true" };
    server = await startServer({ config });
    reports = await runChecks(pythonWith(join(folder, "requirements.txt")), server.url, apiKey, provider);
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  test.each(checkNames)("%s", (name) => {
    const report = reports.get(name);
    expect(report?.error ?? "").toBe("");
    expect(report?.ok, "the check didn't run").toBe(true);
  });
});
