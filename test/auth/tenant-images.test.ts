import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  ociLayout,
  pushLayout,
  type RegistryFixture,
  registryFixture,
} from "../../packages/server/src/images/images-fixture.ts";
import { Secret } from "../../packages/server/src/lib/secret.ts";
import { openDatabase } from "../../packages/server/src/store/open-database.ts";
import { type PostgresServer, startPostgres, whyNoPostgres } from "../../packages/server/src/store/postgres-fixture.ts";
import { busyboxTar, startServer, type TestServer } from "../e2e/server.ts";

const adminKey = "a".repeat(40);
const [acme, rival] = [`acme:${"c".repeat(24)}`, `rival:${"r".repeat(24)}`];
const root = { "X-Admin-API-Key": adminKey };
const why = await whyNoPostgres();

describe.each(["sqlite", ...(why === undefined ? ["postgres"] : [])])("a tenant's private images, on %s", (driver) => {
  let postgres: PostgresServer | undefined;
  let registry: RegistryFixture;
  let server: TestServer;
  let folder: string;
  let database: Record<string, string> = {};
  const tenants: Record<string, Record<string, string>> = {};

  const ask = async (as: object, method: string, path: string, body?: object, url = server.url) => {
    const answer = await fetch(`${url}/api/v1${path}`, {
      method,
      headers: { ...as, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, text, body: text === "" ? {} : JSON.parse(text) };
  };
  const config = (more: object = {}) => ({
    ...database,
    "auth.admin_api_key": adminKey,
    "images.insecure_registries": registry.host,
    "images.registry_credentials": JSON.stringify({ [registry.host]: acme }),
    ...more,
  });

  beforeAll(async () => {
    if (driver === "postgres") {
      postgres = await startPostgres();
      database = { "database.driver": "postgres", "database.dsn": (await postgres.freshDatabase()).reveal() };
    }
    registry = await registryFixture(acme, rival);
    folder = await mkdtemp(join(tmpdir(), "stacyvm-tenant-images-"));
    const layout = await ociLayout(folder, [readFileSync(busyboxTar(folder))]);
    await pushLayout(layout, `${registry.host}/team/app:1`, acme);
    server = await startServer({ config: config({ "server.secrets_key": "e".repeat(40) }) });
    for (const id of ["acme", "rival"]) {
      await ask(root, "POST", "/admin/tenants", { id, name: id });
      const key = await ask(root, "POST", "/admin/api-keys", { name: id, role: "tenant_admin", tenant_id: id });
      tenants[id] = { "X-API-Key": key.body.key };
    }
  });
  afterAll(async () => {
    for (const as of Object.values(tenants)) {
      const { body } = await ask(as, "GET", "/sandboxes");
      for (const { id } of body) await ask(as, "DELETE", `/sandboxes/${id}`);
    }
    await server?.[Symbol.asyncDispose]();
    await registry?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
    await postgres?.[Symbol.asyncDispose]();
  });

  const spawn = (as: object | undefined) =>
    ask(as ?? {}, "POST", "/sandboxes", { image: `${registry.host}/team/app:1` });
  const give = (as: object | undefined, pair: string) => {
    const [username = "", password = ""] = pair.split(":");
    return ask(as ?? {}, "PUT", `/tenant/registry-credentials/${registry.host}`, { username, password });
  };

  test("each tenant pulls with a credential of its own, and what one pulled is no other's without one", async () => {
    expect((await spawn(tenants.acme)).status).toBe(404);
    expect((await give(tenants.acme, acme)).status).toBe(200);
    expect((await spawn(tenants.acme)).status).toBe(201);
    const refused = await spawn(tenants.rival);
    expect([refused.status, refused.body.reason]).toEqual([404, "image_not_found"]);
    expect((await give(tenants.rival, `${rival}x`)).status).toBe(200);
    expect((await spawn(tenants.rival)).body.reason).toBe("image_pull_failed");
    await give(tenants.rival, rival);
    expect((await spawn(tenants.rival)).status).toBe(201);
    expect((await ask(tenants.rival ?? {}, "DELETE", `/tenant/registry-credentials/${registry.host}`)).status).toBe(
      204,
    );
    expect((await spawn(tenants.rival)).status).toBe(404);
    // Whoever is of no tenant has what the configuration gives.
    const own = await spawn(root);
    expect(own.status).toBe(201);
    await ask(root, "DELETE", `/sandboxes/${own.body.id}`);
  });

  test("a credential is listed without its password, which stands nowhere in the database as it is", async () => {
    const [, password = ""] = acme.split(":");
    await give(tenants.acme, acme);
    const listed = await ask(tenants.acme ?? {}, "GET", "/tenant/registry-credentials");
    expect(listed.body.registry_credentials).toEqual([
      { registry: registry.host, username: "acme", created_by: expect.any(String), created_at: expect.any(String) },
    ]);
    expect(listed.text).not.toContain(password);
    const dsn = database["database.dsn"];
    const path = join(server.dataDir, "stacyvm.db");
    const open = openDatabase(
      dsn === undefined ? { driver: "sqlite", path } : { driver: "postgres", dsn: new Secret(dsn) },
    );
    const rows = await open.queries.selectFrom("registry_credentials").selectAll().execute();
    const audit = await open.queries.selectFrom("operation_audit_logs").selectAll().execute();
    await open.queries.destroy();
    expect(rows).toHaveLength(1);
    expect(JSON.stringify([rows, audit])).not.toContain(password);
  });

  test("a bad registry, user or password is refused", async () => {
    const put = (registryName: string, body: object) =>
      ask(tenants.acme ?? {}, "PUT", `/tenant/registry-credentials/${encodeURIComponent(registryName)}`, body);
    const good = { username: "me", password: "secret" };
    for (const name of ["Ghcr.io", "a/b", "a b", "-a.test", `${"a".repeat(300)}.test`]) {
      expect([name, (await put(name, good)).status]).toEqual([name, 400]);
    }
    for (const bad of [{ username: "a:b" }, { username: "" }, { password: "" }, { password: "a\nb" }, { more: 1 }]) {
      expect([bad, (await put("a.test", { ...good, ...bad })).status]).toEqual([bad, 400]);
    }
  });

  test.skipIf(driver === "sqlite")(
    "a server without the key keeps no credential and uses none, and says what is missing",
    async () => {
      await using bare = await startServer({ config: config() });
      const put = await ask(
        tenants.acme ?? {},
        "PUT",
        "/tenant/registry-credentials/a.test",
        { username: "me", password: "x" },
        bare.url,
      );
      expect([put.status, put.body.reason, put.text]).toEqual([
        409,
        "secrets_key_missing",
        expect.stringContaining("server.secrets_key"),
      ]);
      const spawned = await ask(
        tenants.acme ?? {},
        "POST",
        "/sandboxes",
        { image: `${registry.host}/team/app:1` },
        bare.url,
      );
      expect([spawned.body.reason, spawned.text]).toEqual([
        "image_pull_failed",
        expect.stringContaining("server.secrets_key"),
      ]);
    },
  );
});
