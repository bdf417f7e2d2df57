import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ProviderReport } from "@stacyvm/contract";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Report } from "../../packages/server/src/doctor.ts";
import { engineLacks, startEngine } from "../../packages/server/src/providers/docker/docker-engine.testing.ts";
import { spawnSandbox } from "./api.ts";
import { launcher, runProgram } from "./cli-process.ts";
import { startServer } from "./server.ts";

let folder = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "stacyvm-e2e-doctor-"));
  chmodSync(folder, 0o711);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const nowhere = "http://127.0.0.1:9";

/** With a configuration of its own, a data directory that isn't there, and no server, unless named. */
const doctor = async (settings: string, words: readonly string[] = [], server = nowhere) => {
  const config = join(folder, "stacyvm.yaml");
  writeFileSync(config, `data_dir: ${join(folder, "data")}\nserver: {port: 0}\n${settings}`);
  return await runProgram(launcher, ["--server", server, "doctor", "--config", config, ...words], {
    env: { LANG: "C" },
  });
};

const examined = async (settings = "", server = nowhere) => {
  const { stdout, status } = await doctor(settings, ["--json"], server);
  const report = JSON.parse(stdout) as Report;
  const byId = Object.fromEntries(report.findings.map((finding) => [finding.id, finding]));
  return { report, status, byId };
};

/** The machine's runc, but for what it says of itself. */
const runtimeOf = (version: string) => {
  const path = join(folder, `runc-${version}`);
  writeFileSync(
    path,
    `#!/bin/sh\n[ "$1" = --version ] && echo 'runc version ${version}' && exit\nexec /usr/sbin/runc "$@"\n`,
  );
  chmodSync(path, 0o755);
  return path;
};

test("a machine that can run sandboxes passes without a server, and is left as it was", async () => {
  const scratch = () => readdirSync(tmpdir()).filter((name) => name.startsWith("stacyvm-doctor-"));
  const before = scratch();
  const { status, stdout, stderr } = await doctor("");
  expect([status, stderr]).toEqual([0, ""]);
  for (const line of [
    /^ {2}ok {4}overlay file systems can be mounted$/m,
    /^ {2}ok {4}oci: chosen, the strongest healthy wall/m,
  ])
    expect(stdout).toMatch(line);
  expect(stdout).toContain(`?     no server answers at ${nowhere}`);
  expect(stdout.trimEnd().split("\n").at(-1)).toMatch(/^(Nothing is wrong|Sandboxes can run here; \d+ warnings?)\.$/);
  expect(readdirSync(folder)).not.toContain("data");
  expect(scratch().filter((name) => !before.includes(name))).toEqual([]);
});

test("the machine's own runtime is judged by the package that it belongs to", async () => {
  const version = execFileSync("dpkg-query", ["-W", "-f", "$" + "{Version}", "runc"], { encoding: "utf8" });
  const { byId } = await examined();
  const about = Object.values(byId).filter(({ id }) => id.startsWith("runtimes.runc"));
  expect(about.length).toBeGreaterThan(0);
  for (const { what, status } of about) {
    expect(what).toContain(`runc ${version}`);
    expect(status).not.toBe("fail");
    expect(what).not.toContain("CVE-2024-21626");
  }
});

test("a runtime older than its fixed release fails, with what to do and who says so", async () => {
  const { report, status, byId } = await examined(`providers: {oci: {runtime: ${runtimeOf("1.1.4")}}}\n`);
  expect([status, report.status]).toEqual([1, "fail"]);
  expect(byId["runtimes.runc-escape"]).toMatchObject({
    status: "fail",
    what: "runc 1.1.4 is older than its fixed release: open to CVE-2024-21626",
    remedy: "install a newer runc from its project",
    sources: [expect.stringContaining("GHSA-xr7r-f8xq-vfvv")],
  });
});

test("a server is asked when one answers, and says the same of its provider's runtime, which serves nevertheless", async () => {
  await using server = await startServer({ config: { "providers.oci.runtime": runtimeOf("1.1.4") } });
  const { byId } = await examined("", server.url);
  expect(byId["server.reachable"]).toMatchObject({ status: "ok", what: `a server answers at ${server.url}` });
  expect(byId["server.oci"]).toMatchObject({
    status: "ok",
    what: "oci there: chosen, the strongest healthy wall (container)",
  });
  expect(byId["server.oci-warning-1"]?.what).toContain(
    "runc 1.1.4 is older than its fixed release: open to CVE-2024-21626",
  );
  const [oci] = (await (await fetch(`${server.url}/api/v1/providers`)).json()) as readonly ProviderReport[];
  expect(oci).toMatchObject({ healthy: true, warnings: [{ what: expect.stringContaining("CVE-2024-21626") }, {}, {}] });
  await using sandbox = await spawnSandbox(server, {});
  expect((await sandbox.exec({ command: "true" })).body.exit_code).toBe(0);
});

test("a server that wants a key says that, and fails nothing", async () => {
  await using server = await startServer({ config: { "auth.api_key": "k".repeat(40) } });
  const { byId, status } = await examined("", server.url);
  expect(byId["server.reachable"]).toMatchObject({ status: "unknown", remedy: expect.stringContaining("--api-key") });
  expect(status).toBe(0);
});

test("what is missing of a provider that should be the default fails; without any provider so does that", async () => {
  const missing = await examined("providers: {oci: {runtime: /usr/bin/no-such-runtime}}\n");
  expect(missing.status).toBe(1);
  expect(missing.byId["providers.oci"]).toMatchObject({ status: "fail", remedy: "install it: apt-get install runc" });
  const none = await examined("providers: {oci: {enabled: false}, mock: {enabled: true}}\n");
  expect(none.byId["providers.default"]).toMatchObject({
    status: "fail",
    what: "no wall is healthy, so no provider can be the default",
  });
});

test("PRoot is looked for where the configuration says", async () => {
  const program = join(folder, "no-proot");
  const { status, byId } = await examined(
    `providers: {default: proot, proot: {enabled: true, proot_binary: ${program}}}\n`,
  );
  expect(status).toBe(1);
  expect(JSON.stringify(byId)).toContain(`${program} is missing`);
});

test("a configuration that is wrong is told problem by problem, and the machine is examined nevertheless", async () => {
  const { byId, status } = await examined("defaults: {ttl: soon, memry_mb: 3}\n");
  expect(status).toBe(1);
  expect(byId["configuration.defaults.ttl"]?.status).toBe("fail");
  expect(byId["configuration.defaults.memry_mb"]?.remedy).toContain("memory_mb");
  expect(byId["kernel.version"]?.status).toBe("ok");
});

test("a port that another program has fails", async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  const address = other.address();
  const port = typeof address === "object" ? address?.port : 0;
  try {
    const config = join(folder, "port.yaml");
    writeFileSync(config, `data_dir: ${join(folder, "data")}\nserver: {port: ${port}}\n`);
    const { stdout, status } = await runProgram(launcher, [
      "--server",
      nowhere,
      "doctor",
      "--config",
      config,
      "--json",
    ]);
    const found = (JSON.parse(stdout) as Report).findings.find(({ id }) => id === "server.port");
    expect([status, found?.status, found?.what]).toEqual([
      1,
      "fail",
      `127.0.0.1 port ${port} is taken by another program`,
    ]);
  } finally {
    other.close();
  }
});

test.runIf(process.getuid?.() === 0)(
  "a data directory that sandboxes' users can't reach, or anybody can write, fails",
  async () => {
    const closed = join(folder, "closed");
    const config = join(folder, "closed.yaml");
    execFileSync("mkdir", ["-p", join(closed, "data")]);
    chmodSync(closed, 0o700);
    chmodSync(join(closed, "data"), 0o777);
    writeFileSync(config, `data_dir: ${join(closed, "data")}\nserver: {port: 0}\n`);
    const { stdout } = await runProgram(launcher, ["--server", nowhere, "doctor", "--config", config, "--json"]);
    const byId = Object.fromEntries((JSON.parse(stdout) as Report).findings.map((finding) => [finding.id, finding]));
    expect(byId["data.passable"]).toMatchObject({ status: "fail", remedy: `let them: chmod o+x ${closed}` });
    expect(byId["data.permissions"]).toMatchObject({
      status: "fail",
      remedy: `close it: chmod 0711 ${join(closed, "data")}`,
    });
  },
);

test.runIf(engineLacks() === undefined)(
  "an engine is asked where its provider is enabled, and auto says how it compares",
  async () => {
    const engine = await startEngine({ remap: true });
    try {
      const { byId } = await examined(`providers: {docker: {enabled: true, socket: "${engine.socket}"}}\n`);
      expect(byId["providers.oci"]?.what).toBe("oci: chosen, the strongest healthy wall (container)");
      expect(byId["providers.docker"]).toMatchObject({
        status: "ok",
        what: "docker: as strong as oci (container, userns-remap), which comes first",
      });
      const about = Object.values(byId).filter(({ id }) => id.startsWith("runtimes.engine-"));
      expect(about.some(({ what }) => what.startsWith("docker "))).toBe(true);
      for (const { what, status } of about) {
        expect([what, status]).not.toEqual([what, "fail"]);
        expect(what).not.toMatch(/CVE-2024-21626/);
      }
      const without = await examined(
        `providers: {oci: {runtime: /usr/bin/no-such-runtime}, docker: {enabled: true, socket: "${engine.socket}"}}\n`,
      );
      expect([without.status, without.byId["providers.oci"]?.status]).toEqual([0, "warn"]);
      expect(without.byId["providers.docker"]?.what).toBe(
        "docker: chosen, the strongest healthy wall (container, userns-remap)",
      );
      const none = await examined(
        `providers: {default: docker, docker: {enabled: true, socket: "${engine.socket}.gone"}}\n`,
      );
      expect([none.status, none.byId["providers.docker"]?.status]).toEqual([1, "fail"]);
    } finally {
      await engine.close();
    }
  },
);
