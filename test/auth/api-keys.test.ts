import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type PostgresServer, startPostgres, whyNoPostgres } from "../../packages/server/src/store/postgres-fixture.ts";
import { startServer, type TestServer } from "../e2e/server.ts";

const adminKey = "a".repeat(40);
const admin = { "X-Admin-API-Key": adminKey };

interface Created {
  readonly key: string;
  readonly api_key: { readonly id: string; readonly prefix: string; readonly last_used_at?: string };
}

interface Answer {
  readonly id: string;
  readonly owner_id?: string;
  readonly tenant_id?: string;
  readonly stdout?: string;
  readonly message: string;
  readonly reason?: string;
  readonly revoked_at?: string;
  readonly api_keys: readonly Created["api_key"][];
}

const ask = async (server: TestServer, method: string, path: string, headers: object, body?: object) => {
  const answer = await fetch(`${server.url}/api/v1${path}`, {
    method,
    headers: { ...headers, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: answer.status, body: (await answer.json()) as Answer };
};

const create = async (server: TestServer, body: object): Promise<Created> => {
  const { status, body: created } = await ask(server, "POST", "/admin/api-keys", admin, body);
  expect(status).toBe(201);
  return created as unknown as Created;
};

const config = { "providers.mock.enabled": "true", "providers.default": "mock", "auth.admin_api_key": adminKey };
const why = await whyNoPostgres();

describe.each(["sqlite", ...(why === undefined ? ["postgres"] : [])])("named keys on %s", (driver) => {
  let postgres: PostgresServer | undefined;
  let database: Record<string, string> = {};
  let server: TestServer;

  beforeAll(async () => {
    if (driver === "postgres") {
      postgres = await startPostgres();
      database = { "database.driver": "postgres", "database.dsn": (await postgres.freshDatabase()).reveal() };
    }
    server = await startServer({ config: { ...config, ...database } });
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await postgres?.[Symbol.asyncDispose]();
  });

  test("a key may do what its role may, until it is revoked", async () => {
    const operator = await create(server, { name: "ci", role: "operator" });
    const viewer = await create(server, { name: "screen", role: "viewer", ttl: "24h" });
    const [byOperator, byViewer] = [{ "X-API-Key": operator.key }, { "X-API-Key": viewer.key }];

    const made = await ask(server, "POST", "/sandboxes", { ...byOperator, "X-User-ID": "alice" }, {});
    expect([made.status, made.body.owner_id]).toEqual([201, "alice"]);
    const path = `/sandboxes/${made.body.id}`;
    expect((await ask(server, "POST", `${path}/exec`, byOperator, { command: "echo hi" })).body.stdout).toBe("hi\n");
    expect((await ask(server, "GET", path, byViewer)).status).toBe(200);
    expect((await ask(server, "POST", `${path}/exec`, byViewer, { command: "true" })).status).toBe(403);
    expect((await ask(server, "GET", "/admin/api-keys", byOperator)).status).toBe(403);

    const listed = await ask(server, "GET", "/admin/api-keys", admin);
    const text = JSON.stringify(listed.body);
    for (const { key } of [operator, viewer]) expect(text).not.toContain(key.slice(12));
    expect(listed.body.api_keys[0]).toMatchObject({
      name: "screen",
      role: "viewer",
      created_by: "admin:X-Admin-API-Key",
    });

    const revoked = await ask(server, "DELETE", `/admin/api-keys/${operator.api_key.id}`, admin);
    expect([revoked.status, typeof revoked.body.revoked_at]).toEqual([200, "string"]);
    const after = await ask(server, "DELETE", path, byOperator);
    expect([after.status, after.body.message]).toEqual([401, `API key ${operator.api_key.prefix}… was revoked`]);
    expect((await ask(server, "GET", path, byViewer)).status).toBe(200);
    expect((await ask(server, "DELETE", path, admin)).status).toBe(200);
  });

  test("a tenant's key stays in its tenant, whatever X-Tenant-ID says", async () => {
    const acme = {
      "X-API-Key": (await create(server, { name: "acme", tenant_id: "acme" })).key,
      "X-Tenant-ID": "other",
    };
    const other = { "X-API-Key": (await create(server, { name: "other", tenant_id: "other" })).key };
    const made = await ask(server, "POST", "/sandboxes", acme, {});
    expect([made.status, made.body.tenant_id]).toEqual([201, "acme"]);
    const path = `/sandboxes/${made.body.id}`;
    expect((await ask(server, "GET", "/sandboxes", other)).body).toEqual([]);
    for (const [method, to, body] of [
      ["GET", path, undefined],
      ["POST", `${path}/exec`, { command: "true" }],
      ["DELETE", path, undefined],
    ] as const) {
      expect([method, (await ask(server, method, to, other, body)).status]).toEqual([method, 404]);
    }
    expect((await ask(server, "DELETE", path, acme)).status).toBe(200);
  });

  test("an administrator's named key opens the admin area, and its use is seen", async () => {
    const boss = await create(server, { name: "boss", role: "admin" });
    const byBoss = { "X-API-Key": boss.key };
    expect((await ask(server, "GET", "/admin/api-keys", byBoss)).status).toBe(200);
    await expect
      .poll(async () => {
        const { body } = await ask(server, "GET", "/admin/api-keys", byBoss);
        return body.api_keys.find(({ id }) => id === boss.api_key.id)?.last_used_at;
      })
      .toEqual(expect.any(String));
  });

  test.each([
    [{}, "name"],
    [{ name: "x", role: "root" }, "role"],
    [{ name: "x", role: "worker" }, "role"],
    [{ name: "x", ttl: "-1h" }, "ttl"],
    [{ name: "x", ttl: "soon" }, "ttl"],
    [{ name: "x", digest: "0" }, "digest"],
    [{ name: "x", role: "admin", tenant_id: "acme" }, "tenant"],
    [{ name: "x".repeat(129) }, "name"],
  ])("%j makes no key", async (body, named) => {
    const before = (await ask(server, "GET", "/admin/api-keys", admin)).body.api_keys.length;
    const refused = await ask(server, "POST", "/admin/api-keys", admin, body);
    expect(refused.status).toBe(400);
    expect(refused.body.message).toContain(named);
    expect((await ask(server, "GET", "/admin/api-keys", admin)).body.api_keys).toHaveLength(before);
  });

  if (driver !== "postgres") return;
  test("a key revoked on one server ends on another within five seconds", async () => {
    await using second = await startServer({ config: { ...config, ...database } });
    const { key, api_key: made } = await create(server, { name: "shared", role: "viewer" });
    const status = async () => (await ask(second, "GET", "/sandboxes", { "X-API-Key": key })).status;
    expect(await status()).toBe(200);
    const revokedAt = performance.now();
    await ask(server, "DELETE", `/admin/api-keys/${made.id}`, admin);
    await expect.poll(status, { timeout: 15_000, interval: 100 }).toBe(401);
    expect(performance.now() - revokedAt).toBeLessThan(7_000);
  });
});

test("a server that asks nobody for a key makes none, and knows none", async () => {
  await using open = await startServer({ config: { "providers.mock.enabled": "true", "providers.default": "mock" } });
  const refused = await ask(open, "POST", "/admin/api-keys", {}, { name: "x" });
  expect([refused.status, refused.body.reason]).toEqual([409, "credentials_not_configured"]);
  expect((await ask(open, "GET", "/sandboxes", { "X-API-Key": `svm_${"x".repeat(43)}` })).status).toBe(200);
});
