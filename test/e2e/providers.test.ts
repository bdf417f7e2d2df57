import { chmodSync, copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import type { ProviderDetail, ProviderReport } from "@stacyvm/contract";
import pino from "pino";
import { expect, test } from "vitest";
import { post, spawnSandbox } from "./api.ts";
import { launcher, runProgram } from "./cli-process.ts";
import { startServer } from "./server.ts";

const capture = () => {
  const lines: string[] = [];
  const write = (chunk: Buffer, _: unknown, done: () => void) => {
    lines.push(...chunk.toString().trim().split("\n"));
    done();
  };
  return { log: pino({ level: "info" }, new Writable({ write })), rows: () => lines.map((line) => JSON.parse(line)) };
};

const get = async <Answer>(url: string, path: string) => (await (await fetch(`${url}/api/v1${path}`)).json()) as Answer;

test("auto says what it took and why: in the log, and on each provider", async () => {
  const { log, rows } = capture();
  await using server = await startServer({ log, config: { "providers.mock.enabled": "true" } });
  const reasons = {
    oci: "chosen, the strongest healthy wall (container)",
    mock: "no wall, never chosen unless it is named",
  };
  expect(rows().find(({ msg }) => msg === "default provider chosen")).toMatchObject({
    wanted: "auto",
    default_provider: "oci",
    reasons,
  });
  const reports = await get<readonly ProviderReport[]>(server.url, "/providers");
  expect(Object.fromEntries(reports.map((each) => [each.name, each.default_reason]))).toEqual(reasons);
});

test("a provider tells its wall, limits, profiles, networks and versions; what old clients read stays as it was", async () => {
  await using server = await startServer({ config: { "providers.mock.enabled": "true" } });
  const reports = await get<readonly ProviderReport[]>(server.url, "/providers");
  const [oci, mock] = reports;
  expect(oci).toMatchObject({
    healthy: true,
    isolation: "container",
    limits: { memory: true, cpu: true, pids: true, disk: true, tree_kill: "cgroup" },
    security_profiles: [
      { name: "default", offered: true },
      { name: "restricted", offered: true },
    ],
    networks: ["none", "egress"],
    missing: [],
  });
  expect(oci?.versions).toMatchObject({ kernel: expect.any(String), runtime: expect.stringMatching(/^runc version /) });
  expect(mock).toMatchObject({
    isolation: "none",
    limits: { memory: false, cpu: false, pids: false, disk: false, tree_kill: "pid-namespace" },
    security_profiles: [
      { name: "default", offered: true },
      { name: "restricted", offered: false },
    ],
  });
  const {
    last_checked: _,
    latency_ms: __,
    runtime_count: ___,
    ...health
  } = await get<ProviderReport>(server.url, "/providers/oci/health");
  expect(oci).toMatchObject(health);
  expect((await get<ProviderDetail>(server.url, "/providers/oci")).health).toMatchObject(health);
  const tested = await fetch(`${server.url}/api/v1/providers/test`, { method: "POST" });
  expect(await tested.json()).toEqual({ oci: true, mock: true });
});

test("what a provider misses is told with what would help, and a spawn on it is refused with both", async () => {
  const config = {
    "providers.oci.runtime": "/usr/bin/no-such-runtime",
    "providers.default": "oci",
    "providers.mock.enabled": "true",
  };
  await using server = await startServer({ config });
  const oci = await get<ProviderReport>(server.url, "/providers/oci/health");
  const what = expect.stringContaining("/usr/bin/no-such-runtime does not run");
  expect(oci).toMatchObject({
    healthy: false,
    default: true,
    default_reason: expect.stringMatching(/^chosen, named by providers.default \(container\), but not healthy: /),
    missing: [{ what, remedy: "install it: apt-get install runc" }],
  });
  // Before an image is asked for that nobody could give.
  const refused = await post(`${server.url}/api/v1/sandboxes`, { image: "127.0.0.1:9/none:latest" });
  expect(refused.status).toBe(503);
  expect(await refused.json()).toMatchObject({
    code: "UNAVAILABLE",
    reason: "provider_unavailable",
    message: expect.stringMatching(/^provider oci is not healthy: .*no-such-runtime does not run/),
    remediation: "On the server's host: install it: apt-get install runc",
  });
  await using mock = await spawnSandbox(server, { provider: "mock" });
  expect((await mock.exec({ command: "true" })).body.exit_code).toBe(0);
});

test("a provider that became unhealthy since it was last looked at says so when a spawn fails", async () => {
  await using stack = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "stacyvm-runtime-"));
  stack.defer(() => rmSync(folder, { recursive: true }));
  const runtime = join(folder, "runc");
  copyFileSync("/usr/sbin/runc", runtime);
  chmodSync(runtime, 0o755);
  const server = stack.use(await startServer({ config: { "providers.oci.runtime": runtime } }));
  await using _works = await spawnSandbox(server, {});
  chmodSync(runtime, 0o644);
  const refused = await post(`${server.url}/api/v1/sandboxes`, {});
  chmodSync(runtime, 0o755);
  expect(refused.status).toBe(503);
  expect(await refused.json()).toMatchObject({
    reason: "provider_unavailable",
    message: expect.stringContaining(`${runtime} does not run`),
    remediation: expect.stringContaining("apt-get install runc"),
  });
});

test("the command lists them with their walls, and narrow terminals get what tells most", async () => {
  await using server = await startServer({ config: { "providers.mock.enabled": "true" } });
  const env = { STACYVM_SERVER: server.url };
  const { stdout, status } = await runProgram(launcher, ["providers"], { env });
  expect(status).toBe(0);
  const [heading, oci, mock, , ...remarks] = stdout.trimEnd().split("\n");
  expect(heading).toMatch(/^NAME +HEALTH +WALL +LIMITS +TREE KILL +PROFILES +NETWORKS +RUNTIME$/);
  expect(oci).toMatch(
    /^oci \* +healthy +container +memory cpu pids disk +cgroup +default restricted +none egress +runc version /,
  );
  expect(mock).toMatch(/^mock +healthy +none +none +pid-namespace +default +none +runc version /);
  expect(remarks).toContain("oci: chosen, the strongest healthy wall (container)");
  expect(remarks).toContain("mock: no wall, never chosen unless it is named");
  const json = JSON.parse(
    (await runProgram(launcher, ["providers", "--json"], { env })).stdout,
  ) as readonly ProviderReport[];
  expect(json.map(({ name, isolation }) => [name, isolation])).toEqual([
    ["oci", "container"],
    ["mock", "none"],
  ]);
  const line = `stty cols 50; exec ${launcher} providers`;
  const narrow = await runProgram("script", ["--quiet", "--return", "--command", line, "/dev/null"], { env });
  const shown = narrow.stdout.replaceAll("\r\n", "\n").split("\n").slice(0, 3);
  expect(shown.map((each) => each.length <= 50)).toEqual([true, true, true]);
  expect(shown[1]).toMatch(/^oci \* +healthy +container/);
});
