import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type PostgresServer, startPostgres, whyNoPostgres } from "../../packages/server/src/store/postgres-fixture.ts";
import { startServer, type TestServer } from "../e2e/server.ts";
import { startIssuer, type TestIssuer } from "./issuer.ts";

const adminKey = "a".repeat(40);
const root = { "X-Admin-API-Key": adminKey };
const audience = "https://sandboxes.example";
type Headers = Readonly<Record<string, string>>;

interface Answer {
  readonly id: string;
  readonly reason?: string;
  readonly message?: string;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly tenant_id?: string;
  readonly project_id?: string;
  readonly owner_id?: string;
  readonly tenant: { readonly id: string; readonly settings: string; readonly deleting_at?: string };
  readonly role?: string;
  readonly member: { readonly issuer?: string; readonly role: string };
  readonly key: string;
  readonly api_key: { readonly id: string; readonly role: string; readonly member?: string };
  readonly api_keys: readonly { readonly id: string }[];
}

const ask = async (server: TestServer, as: Headers, method: string, path: string, body?: object) => {
  const answer = await fetch(`${server.url}/api/v1${path}`, {
    method,
    headers: { ...as, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, body: (text === "" ? {} : JSON.parse(text)) as Answer };
};

let issuer: TestIssuer;
beforeAll(async () => {
  issuer = await startIssuer({
    audience,
    clients: { ann: {}, bob: {}, claimed: { tenant_id: "acme", groups: ["ops"] } },
  });
});
afterAll(() => issuer?.[Symbol.asyncDispose]());
const bearer = async (client: string): Promise<Headers> => ({ Authorization: `Bearer ${await issuer.token(client)}` });

const why = await whyNoPostgres();

describe.each(["sqlite", ...(why === undefined ? ["postgres"] : [])])("tenants on %s", (driver) => {
  let postgres: PostgresServer | undefined;
  let database: Record<string, string> = {};
  let server: TestServer;
  const serve = () =>
    startServer({
      config: {
        ...database,
        "auth.admin_api_key": adminKey,
        "auth.oidc_issuer": issuer.url,
        "auth.oidc_audience": audience,
        "auth.oidc_operator_groups": "ops",
      },
    });
  beforeAll(async () => {
    if (driver === "postgres") {
      postgres = await startPostgres();
      database = { "database.driver": "postgres", "database.dsn": (await postgres.freshDatabase()).reveal() };
    }
    server = await serve();
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    await postgres?.[Symbol.asyncDispose]();
  });
  const does = async (method: string, path: string, body?: object, as: Headers = root): Promise<Answer> => {
    const { status, body: answer } = await ask(server, as, method, path, body);
    expect([path, status < 300, answer.message]).toEqual([path, true, undefined]);
    return answer;
  };
  const keyOf = async (more: object): Promise<Headers> => ({
    "X-API-Key": (await does("POST", "/admin/api-keys", { name: "test", role: "operator", ...more })).key,
  });

  test("what was made before the first tenant is of none, and stays its callers'", async () => {
    const before = await does("POST", "/sandboxes", {});
    const labelled = await ask(server, { ...root, "X-Tenant-ID": "label" }, "POST", "/sandboxes", {});
    expect(labelled.body.tenant_id).toBe("label");
    await does("DELETE", `/sandboxes/${labelled.body.id}`);
    await does("POST", "/admin/tenants", { id: "acme", name: "Acme" });
    expect((await ask(server, root, "GET", `/sandboxes/${before.id}`)).status).toBe(200);
    const inTenant = await ask(server, { ...root, "X-Tenant-ID": "acme" }, "GET", `/sandboxes/${before.id}`);
    expect([inTenant.status, inTenant.body.reason]).toEqual([404, "sandbox_not_found"]);
    const missing = await ask(server, { ...root, "X-Tenant-ID": "label" }, "POST", "/sandboxes", {});
    expect([missing.status, missing.body.reason]).toEqual([404, "tenant_not_found"]);
    await does("DELETE", `/sandboxes/${before.id}`);
  });

  test("a member's own key speaks for the member, and ends with the membership", async () => {
    await does("PUT", "/admin/tenants/acme/members/ann", { role: "operator" });
    const ann = await bearer("ann");
    expect(await does("GET", "/tenant", undefined, ann)).toMatchObject({ tenant: { id: "acme" }, role: "operator" });
    const made = await does("POST", "/api-keys", { name: "laptop", ttl: "24h" }, ann);
    expect(made.api_key).toMatchObject({ role: "operator", member: "ann", tenant_id: "acme" });
    const byKey = { "X-API-Key": made.key, "X-User-ID": "mallory" };
    const sandbox = await does("POST", "/sandboxes", { owner_id: "mallory" }, byKey);
    expect(sandbox).toMatchObject({ owner_id: "ann", tenant_id: "acme" });
    await does("DELETE", `/sandboxes/${sandbox.id}`, undefined, byKey);
    for (const [as, body, status, reason] of [
      [ann, { name: "more", role: "tenant_admin" }, 403, "permission_denied"],
      [ann, { name: "admin", role: "admin" }, 403, "permission_denied"],
      [byKey, { name: "from a key" }, 403, "not_a_member"],
      [await bearer("claimed"), { name: "by claim" }, 403, "not_a_member"],
      [ann, { name: "elsewhere", project_id: "missing" }, 404, "project_not_found"],
      [ann, { name: "" }, 400, "invalid_input"],
    ] as const) {
      const refused = await ask(server, as, "POST", "/api-keys", body);
      expect([body.name, refused.status, refused.body.reason]).toEqual([body.name, status, reason]);
    }
    expect((await does("GET", "/api-keys", undefined, ann)).api_keys).toHaveLength(1);

    await does("PUT", "/admin/tenants/acme/members/ann", { role: "viewer" });
    expect((await ask(server, byKey, "POST", "/sandboxes", {})).status).toBe(403);
    expect((await ask(server, byKey, "GET", "/sandboxes")).status).toBe(200);
    await does("DELETE", "/admin/tenants/acme/members/ann");
    expect((await ask(server, byKey, "GET", "/sandboxes")).status).toBe(401);
    await does("PUT", "/admin/tenants/acme/members/ann", { role: "operator" });
    expect((await ask(server, byKey, "GET", "/sandboxes")).status).toBe(401);
    await does("DELETE", "/admin/tenants/acme/members/ann");
  });

  test("a tenant's administrator governs it and nothing else", async () => {
    await does("PUT", "/admin/tenants/acme/members/bob", { role: "admin" });
    const bob = await bearer("bob");
    await does("POST", "/tenant/projects", { id: "web", name: "Web" }, bob);
    expect((await ask(server, bob, "POST", "/tenant/projects", { id: "web", name: "Web" })).status).toBe(409);
    const saved = await does("PUT", "/tenant/members/carl", { role: "viewer", project_id: "web" }, bob);
    expect(saved.member).toMatchObject({ role: "viewer", project_id: "web", issuer: issuer.url });
    for (const [path, body, status] of [
      ["/tenant/members/carl", { role: "king" }, 400],
      ["/tenant/members/carl", { role: "viewer", project_id: "missing" }, 404],
      ["/admin/tenants/acme/members/carl", { role: "viewer" }, 403],
      ["/admin/tenants/acme", { name: "mine" }, 403],
    ] as const) {
      expect([path, (await ask(server, bob, "PUT", path, body)).status]).toEqual([path, status]);
    }
    const inProject = await does("POST", "/api-keys", { name: "ci", role: "operator", project_id: "web" }, bob);
    const made = await does("POST", "/sandboxes?view=full", {}, { "X-API-Key": inProject.key });
    expect(made).toMatchObject({ tenant_id: "acme", project_id: "web" });
    const used = await ask(server, bob, "DELETE", "/tenant/projects/web");
    expect([used.status, used.body.details]).toEqual([409, { sandboxes: 1, templates: 0, api_keys: 1 }]);
    await does("DELETE", `/sandboxes/${made.id}`, undefined, bob);
    await does("DELETE", `/api-keys/${inProject.api_key.id}`, undefined, bob);
    await does("DELETE", "/tenant/projects/web", undefined, bob);
    expect((await ask(server, bob, "DELETE", "/tenant/projects/web")).status).toBe(404);
  });

  test("a provider's figures count a tenant's own sandboxes to its callers, and all to the server's", async () => {
    await does("POST", "/admin/tenants", { id: "other", name: "Other" });
    const made = await does("POST", "/sandboxes", {});
    const key = await keyOf({ tenant_id: "other" });
    const count = async (as: Headers) =>
      (await does("GET", "/providers/oci", undefined, as)) as unknown as { readonly sandbox_count: number };
    expect((await count(key)).sandbox_count).toBe(0);
    expect((await count(root)).sandbox_count).toBe(1);
    const [admission, ready] = [
      await does("POST", "/sandboxes/admission", {}, key),
      await does("GET", "/ready", undefined, key),
    ];
    expect(admission).toMatchObject({ allowed: true, active_sandboxes: 0 });
    expect(JSON.stringify(ready)).not.toContain('"runtime_count":1');
    expect(JSON.stringify(await does("GET", "/ready"))).toContain('"runtime_count":1');
    await does("DELETE", `/sandboxes/${made.id}`);
    await does("DELETE", "/admin/tenants/other?cascade=true");
  });

  test("a tenant is deleted once it is empty, or with all that is in it", async () => {
    await does("POST", "/admin/tenants", { id: "full", name: "Full", settings: { tier: "gold" } });
    const key = await keyOf({ tenant_id: "full" });
    const made = await Promise.all([1, 2, 3].map(() => does("POST", "/sandboxes", {}, key)));
    await does("POST", "/templates", { name: "web", image: "alpine:latest" }, key);
    const refused = await ask(server, root, "DELETE", "/admin/tenants/full");
    expect([refused.status, refused.body.details]).toEqual([409, { sandboxes: 3, templates: 1, api_keys: 1 }]);
    expect((await ask(server, key, "GET", `/sandboxes/${made[0]?.id}`)).status).toBe(200);
    expect((await ask(server, root, "DELETE", "/admin/tenants/full?cascade=perhaps")).status).toBe(400);
    const spawning = Array.from({ length: 4 }, () => ask(server, key, "POST", "/sandboxes", {}));
    await does("DELETE", "/admin/tenants/full?cascade=true");
    for (const { status, body } of await Promise.all(spawning))
      expect([201, 401, 404, 409], JSON.stringify(body)).toContain(status);
    expect((await ask(server, key, "GET", "/sandboxes")).status).toBe(401);
    expect((await ask(server, root, "GET", "/admin/tenants/full")).status).toBe(404);
    await does("POST", "/admin/tenants", { id: "full", name: "Again" });
    const again = { ...root, "X-Tenant-ID": "full" };
    expect(await does("GET", "/sandboxes", undefined, again)).toEqual([]);
    expect(await does("GET", "/templates", undefined, again)).toEqual([]);
    await does("DELETE", "/admin/tenants/full");
  });

  test.each([
    ["without a name", { id: "x" }, "name is required"],
    ["with an id that a header or an address would change", { id: "a/b", name: "x" }, "id may hold"],
    ["with an id that is too long", { id: "x".repeat(257), name: "x" }, "id"],
    ["with settings that are too large", { name: "x", settings: "x".repeat(70_000) }, "settings must be"],
  ])("a tenant %s is refused", async (_what, body, message) => {
    const refused = await ask(server, root, "POST", "/admin/tenants", body);
    expect([refused.status, refused.body.message]).toEqual([400, expect.stringContaining(message)]);
  });

  if (driver !== "postgres") return;
  test("what one server changes counts on another within five seconds", async () => {
    await using other = await serve();
    await does("PUT", "/admin/tenants/acme/members/ann", { role: "operator" });
    const ann = await bearer("ann");
    const role = async () => (await ask(other, ann, "GET", "/tenant")).body.role ?? "none";
    await expect.poll(role, { timeout: 6_000, interval: 100 }).toBe("operator");
    await does("PUT", "/admin/tenants/acme/members/ann", { role: "viewer" });
    await expect.poll(role, { timeout: 6_000, interval: 100 }).toBe("viewer");
    await does("DELETE", "/admin/tenants/acme/members/ann");
    await expect.poll(role, { timeout: 6_000, interval: 100 }).toBe("none");
  });
});
