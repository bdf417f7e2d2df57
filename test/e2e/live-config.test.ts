import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { afterAll, beforeAll, expect, test } from "vitest";
import { auditStore } from "../../packages/server/src/store/audit.ts";
import { openDatabase } from "../../packages/server/src/store/open-database.ts";
import { launcher, runProgram } from "./cli-process.ts";
import { startServer, type TestServer } from "./server.ts";

const apiKey = "k".repeat(40);
const adminKey = "a".repeat(40);
const admin = { "X-Admin-API-Key": adminKey, "X-User-ID": "alice" };
const lines: string[] = [];
let server: TestServer;

beforeAll(async () => {
  const log = pino({ level: "info" }, { write: (line: string) => void lines.push(line) });
  const config = { "auth.api_key": apiKey, "auth.admin_api_key": adminKey, "providers.mock.enabled": "true" };
  server = await startServer({ config: { ...config, "providers.default": "mock" }, log });
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
});

interface Answer {
  readonly settings: Readonly<Record<string, unknown>>;
  readonly changed: readonly string[];
  readonly status: string;
  readonly message: string;
  readonly reason: string;
  readonly id: string;
  readonly expires_at: string;
  readonly created_at: string;
  readonly details: { readonly settings: readonly { readonly setting: string; readonly remediation: string }[] };
}

const ask = async (method: string, path: string, headers: Record<string, string>, body?: unknown) => {
  const answer = await fetch(`${server.url}/api/v1${path}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  return { status: answer.status, headers: answer.headers, body: (await answer.json()) as Answer };
};
const patch = (body: unknown, headers: Record<string, string> = admin) => ask("PATCH", "/config", headers, body);

test("only an administrator sees and changes settings", async () => {
  for (const [headers, status] of [
    [{}, 401],
    [{ "X-API-Key": "wrong" }, 401],
    [{ "X-API-Key": apiKey }, 403],
    [{ "X-API-Key": apiKey, "X-User-ID": "admin" }, 403],
  ] as const) {
    expect((await patch({ "defaults.vcpus": 2 }, headers)).status).toBe(status);
    expect((await ask("GET", "/config", headers)).status).toBe(status);
  }
  const seen = await ask("GET", "/config", admin);
  expect([seen.status, seen.body.changed, seen.body.settings["defaults.vcpus"]]).toEqual([200, [], 1]);
  expect(JSON.stringify(seen.body)).not.toMatch(/key|dsn|aaaa|kkkk/);
});

test("limits count for the next request, a lower rate too, and what was is put back", async () => {
  const before = (await ask("GET", "/config", admin)).body.settings;
  const changed = await patch({ defaults: { ttl: "2m", max_ttl: "5m", max_sandboxes: 1 }, "logging.level": "warn" });
  expect([changed.status, changed.body.status]).toEqual([200, "updated"]);
  expect(changed.body.message).toContain("until a restart");
  expect(changed.body.changed).toEqual(["defaults.ttl", "defaults.max_ttl", "defaults.max_sandboxes", "logging.level"]);

  const told = () => lines.filter((line) => line.includes('"level":30')).length;
  const quiet = told();
  const key = { "X-API-Key": apiKey };
  const made = await ask("POST", "/sandboxes", key, {});
  expect(Date.parse(made.body.expires_at) - Date.parse(made.body.created_at)).toBe(120_000);
  expect((await ask("POST", "/sandboxes", key, {})).body.message).toContain("max sandboxes");
  expect((await ask("POST", `/sandboxes/${made.body.id}/extend`, key, { ttl: "10m" })).body.reason).toBe(
    "ttl_above_max",
  );
  expect((await ask("DELETE", `/sandboxes/${made.body.id}`, key)).status).toBe(200);

  await patch({ rate_limit: { enabled: true, requests_per_minute: 60, burst: 2 } });
  const statuses = [];
  for (let at = 0; at < 3; at += 1) statuses.push((await ask("GET", "/sandboxes", key)).status);
  expect(statuses).toEqual([200, 200, 429]);
  expect(told()).toBe(quiet);
  const back = await patch(before);
  expect([back.status, back.body.changed]).toEqual([200, []]);
  expect((await ask("GET", "/sandboxes", key)).headers.get("x-ratelimit-limit")).toBeNull();
});

test("bad input changes nothing, names each setting, and says that some need a restart", async () => {
  const before = (await ask("GET", "/config", admin)).body;
  const mixed = await patch({
    "defaults.vcpus": 2,
    "server.port": 1,
    "auth.api_key": "hunter2",
    "defaults.ttl": "never",
  });
  expect([mixed.status, mixed.body.reason]).toEqual([400, "invalid_input"]);
  expect(mixed.body.details.settings.map(({ setting }) => setting)).toEqual([
    "server.port",
    "auth.api_key",
    "defaults.ttl",
  ]);
  expect(mixed.body.message).toMatch(/server\.port can't change while the server runs \(.*restart the server/);
  expect(JSON.stringify(mixed.body)).not.toContain("hunter2");
  for (const body of ["", "{", "[]", "null", "5", '"defaults.vcpus"', '{"defaults.vcpus":2,"defaults.vcpus":3}']) {
    expect([body, (await patch(body)).status]).toEqual([body, 400]);
  }
  expect((await patch({ ["x".repeat(200)]: 1 })).status).toBe(400);
  expect((await patch(`{"defaults":${"[".repeat(5_000)}${"]".repeat(5_000)}}`)).status).toBe(400);
  expect((await ask("GET", "/config", admin)).body).toEqual(before);
});

test("who changed what is in the audit and the log, a refused try too, and no value that was refused", async () => {
  await patch({ "defaults.memory_mb": 2048 });
  await patch({ "auth.admin_api_key": "hunter2" });
  const rows = async () => {
    const database = openDatabase({ driver: "sqlite", path: join(server.dataDir, "stacyvm.db") });
    const listed = await auditStore(database).list(2);
    await database.queries.destroy();
    return listed.map(({ actor, action, status, resource, detail }) => ({ actor, action, status, resource, detail }));
  };
  await expect.poll(rows).toEqual([
    {
      actor: "alice",
      action: "config.update",
      status: "failure",
      resource: "auth.admin_api_key",
      detail: "1 problem(s)",
    },
    {
      actor: "alice",
      action: "config.update",
      status: "success",
      resource: "defaults.memory_mb",
      detail: "defaults.memory_mb: 1024 -> 2048",
    },
  ]);
  expect(lines.filter((line) => line.includes("settings changed")).at(-1)).toContain('"after":2048');
  expect(lines.join("")).not.toContain("hunter2");
});

test("the configuration file stays as it is, to the byte and its rights", async () => {
  const folder = mkdtempSync(join(tmpdir(), "stacyvm-live-"));
  try {
    chmodSync(folder, 0o711);
    const path = join(folder, "stacyvm.yaml");
    const text = [
      "# kept",
      `data_dir: ${join(folder, "data")}`,
      "server: {port: 0}",
      `auth: {api_key: ${apiKey}, admin_api_key: ${adminKey}}`,
      "providers: {mock: {enabled: true}}",
      "defaults:\n  vcpus: 1 # one\n",
    ].join("\n");
    writeFileSync(path, text, { mode: 0o640 });
    let pid = 0;
    let asked: Promise<number> | undefined;
    const run = await runProgram(launcher, ["serve", "--config", path], {
      cwd: folder,
      env: { HOME: folder },
      onStart: (leader) => {
        pid = leader;
      },
      onOutput: (stdout) => {
        const url = /"url":"([^"]+)"/.exec(stdout)?.[1];
        if (asked !== undefined || url === undefined) return;
        const options = { method: "PATCH", headers: admin, body: '{"defaults.vcpus": 3}' };
        asked = fetch(`${url}/api/v1/config`, options).then(({ status }) => status);
        void asked.finally(() => process.kill(-pid, "SIGTERM"));
      },
    });
    expect([await asked, run.status], run.stderr).toEqual([200, 0]);
    expect([readFileSync(path, "utf8"), statSync(path).mode & 0o777]).toEqual([text, 0o640]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
