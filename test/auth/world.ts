import { expect } from "vitest";
import { signWorkerToken } from "../../packages/server/src/auth/worker-token.ts";
import { Secret } from "../../packages/server/src/lib/secret.ts";
import { startServer, type TestServer } from "../e2e/server.ts";
import { startIssuer, type TestIssuer } from "./issuer.ts";

export type Headers = Readonly<Record<string, string>>;

export interface Reply {
  readonly status: number;
  readonly text: string;
}

/** Everybody who asks, in the order of the matrix's columns. */
export const callerNames = [
  "nobody",
  "an expired key",
  "a revoked key",
  "a worker's token",
  "a viewer's key",
  "a viewer's token",
  "a key with the role api",
  "the server's key with X-Tenant-ID",
  "an operator's key",
  "an operator's token",
  "a tenant administrator's key",
  "a tenant administrator's token",
  "a key of the project",
  "a key of another project",
  "a key of another tenant",
  "the server's key without X-Tenant-ID",
  "the admin key",
] as const;
export type CallerName = (typeof callerNames)[number];

const [apiKey, adminKey, workerKey] = ["k".repeat(40), "a".repeat(40), new Secret("s".repeat(40))];
const audience = "https://sandboxes.example";

/** A server with the tenants acme (projects web and ml) and rival, and somebody of every kind. */
export interface World extends AsyncDisposable {
  readonly url: string;
  readonly callers: Readonly<Record<CallerName, Headers>>;
  /** An administrator, in no tenant. */
  readonly root: Headers;
  /** An administrator in tenant acme. */
  readonly admin: Headers;
  /** An administrator in project web of it. */
  readonly adminInWeb: Headers;
  /** Sandboxes beside, of another project, of another tenant and of none: what their callers may see of events. */
  readonly beside: Readonly<Partial<Record<CallerName, string>>>;
  send(as: Headers, method: string, path: string, body?: object | string): Promise<Reply>;
  /** As an administrator, and JSON; throws for a refusal. */
  does<T>(method: string, path: string, body?: object | string, as?: Headers): Promise<T>;
}

let addresses = 0;

/** Each request comes from an address of its own: wrong keys make their address wait. */
const addressed = (headers: Headers): Headers => {
  addresses += 1;
  return {
    "X-Forwarded-For": `10.${(addresses >> 16) & 255}.${(addresses >> 8) & 255}.${addresses & 255}`,
    ...headers,
  };
};

export const makeWorld = async (database: Readonly<Record<string, string>>): Promise<World> => {
  await using stack = new AsyncDisposableStack();
  const issuer: TestIssuer = stack.use(
    await startIssuer({ audience, clients: { "ann-looks": {}, "ann-works": {}, "ann-rules": {} } }),
  );
  const server: TestServer = stack.use(
    await startServer({
      config: {
        ...database,
        "auth.api_key": apiKey,
        "auth.admin_api_key": adminKey,
        "auth.admin_fallback_enabled": "false",
        "auth.worker_signing_key": workerKey.reveal(),
        "auth.oidc_issuer": issuer.url,
        "auth.oidc_audience": audience,
        "auth.oidc_client_id": "web",
        "server.secrets_key": "e".repeat(40),
        "server.trusted_proxies": "127.0.0.1/32",
        "reaper.interval": "1h",
      },
    }),
  );
  const root = { "X-Admin-API-Key": adminKey };
  const admin = { ...root, "X-Tenant-ID": "acme" };
  const adminInWeb = { ...admin, "X-Project-ID": "web" };

  const send: World["send"] = async (as, method, path, body) => {
    const headers = { ...addressed(as), ...(typeof body === "object" ? { "content-type": "application/json" } : {}) };
    const answer = await fetch(`${server.url}${path.startsWith("/openapi") ? "" : "/api/v1"}${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    return { status: answer.status, text: await answer.text() };
  };
  const does: World["does"] = async (method, path, body, as = admin) => {
    const { status, text } = await send(as, method, path, body);
    if (status >= 300) throw new Error(`${method} ${path} answered ${status}: ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  };

  for (const id of ["acme", "rival"]) await does("POST", "/admin/tenants", { id, name: id }, root);
  for (const id of ["web", "ml"]) await does("POST", "/admin/tenants/acme/projects", { id, name: id }, root);
  for (const [user, role] of Object.entries({ "ann-looks": "viewer", "ann-works": "operator", "ann-rules": "admin" })) {
    await does("PUT", `/admin/tenants/acme/members/${user}`, { role }, root);
  }
  const key = async (role: string, of: object, ttl?: string) => {
    const body = { name: role, role, ...of, ...(ttl === undefined ? {} : { ttl }) };
    return await does<{ key: string; api_key: { id: string } }>("POST", "/admin/api-keys", body, root);
  };
  const acme = { tenant_id: "acme" };
  const keyed = async (role: string, of: object = acme): Promise<Headers> => ({
    "X-API-Key": (await key(role, of)).key,
  });
  const bearer = async (client: string): Promise<Headers> => ({
    Authorization: `Bearer ${await issuer.token(client)}`,
  });
  const [expired, revoked] = [await key("admin", {}, "1ms"), await key("admin", {})];
  await does("DELETE", `/admin/api-keys/${revoked.api_key.id}`, undefined, root);
  const workerToken = signWorkerToken(
    {
      workerId: "worker-a",
      tokenId: "0".repeat(32),
      audience: "worker:control-plane",
      scopes: ["worker:exec"],
      issuedAtMs: Date.now(),
      expiresAtMs: Date.now() + 300_000,
    },
    workerKey,
  );

  const callers: World["callers"] = {
    nobody: {},
    "an expired key": { "X-API-Key": expired.key },
    "a revoked key": { "X-API-Key": revoked.key },
    "a worker's token": { Authorization: `Bearer ${workerToken}`, "X-Worker-ID": "worker-a" },
    "a viewer's key": await keyed("viewer"),
    "a viewer's token": await bearer("ann-looks"),
    "a key with the role api": await keyed("api"),
    "the server's key with X-Tenant-ID": { "X-API-Key": apiKey, "X-Tenant-ID": "acme" },
    "an operator's key": await keyed("operator"),
    "an operator's token": await bearer("ann-works"),
    "a tenant administrator's key": await keyed("tenant_admin"),
    "a tenant administrator's token": await bearer("ann-rules"),
    "a key of the project": await keyed("operator", { ...acme, project_id: "web" }),
    "a key of another project": await keyed("operator", { ...acme, project_id: "ml" }),
    "a key of another tenant": await keyed("tenant_admin", { tenant_id: "rival" }),
    "the server's key without X-Tenant-ID": { "X-API-Key": apiKey },
    "the admin key": admin,
  };
  const beside: Partial<Record<CallerName, string>> = {};
  for (const name of [
    "a key of another project",
    "a key of another tenant",
    "the server's key without X-Tenant-ID",
  ] as const) {
    const made = await send(callers[name], "POST", "/sandboxes", {});
    expect(made.status, made.text).toBe(201);
    beside[name] = (JSON.parse(made.text) as { id: string }).id;
  }
  const tenants = ["acme", "rival"].map((tenant) => ({ ...root, "X-Tenant-ID": tenant }));
  stack.defer(async () => {
    for (const as of tenants) {
      const left = await does<{ id: string }[]>("GET", "/sandboxes", undefined, as);
      for (const { id } of left) await does("DELETE", `/sandboxes/${id}`, undefined, as);
    }
  });
  const running = stack.move();
  return {
    url: server.url,
    callers,
    root,
    admin,
    adminInWeb,
    beside,
    send,
    does,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
};
