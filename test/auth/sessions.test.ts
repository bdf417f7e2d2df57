import { afterAll, beforeAll, expect, test } from "vitest";
import WebSocket from "ws";
import { startPostgres, whyNoPostgres } from "../../packages/server/src/store/postgres-fixture.ts";
import { startServer, type TestServer } from "../e2e/server.ts";
import { clientSecret, startIssuer, type TestIssuer } from "./issuer.ts";
import { Visitor } from "./visitor.ts";

const adminKey = "a".repeat(40);
const apiKey = "k".repeat(40);
const people = { alice: { groups: ["builders"], tenant_id: "acme" }, eve: {}, root: { groups: ["chiefs"] } };

let issuer: TestIssuer;
let server: TestServer;
let origin: string;
let port: string;
const at = (path: string): string => `${origin}/api/v1${path}`;

beforeAll(async () => {
  issuer = await startIssuer({ audience: "https://sandboxes.example", people });
  server = await startServer({
    config: {
      "providers.mock.enabled": "true",
      "providers.default": "mock",
      "auth.api_key": apiKey,
      "auth.admin_api_key": adminKey,
      "auth.oidc_issuer": issuer.url,
      "auth.oidc_audience": "https://sandboxes.example",
      "auth.oidc_client_id": "web",
      "auth.oidc_client_secret": clientSecret,
      "auth.oidc_operator_groups": "builders",
      "auth.oidc_admin_groups": "chiefs",
      "auth.sessions_per_person": "2",
    },
  });
  ({ port } = new URL(server.url));
  origin = `http://app.localhost:${port}`;
  issuer.allowRedirect(`${origin}/api/v1/session/callback`);
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await issuer[Symbol.asyncDispose]();
});

const loggedIn = async (key = adminKey): Promise<Visitor> => {
  const visitor = new Visitor();
  const made = await visitor.visit(at("/session"), { method: "POST", headers: { origin, "x-api-key": key } });
  expect(made.status).toBe(201);
  return visitor;
};

const byIssuer = async (person: string | undefined, visitor = new Visitor()) => {
  issuer.setPerson(person);
  return { visitor, end: await visitor.visit(at("/session/authorize?return_to=/api/v1/session")) };
};

const namedKey = async (body: object): Promise<{ key: string; id: string }> => {
  const made = await fetch(`${server.url}/api/v1/admin/api-keys`, {
    method: "POST",
    headers: { "x-api-key": adminKey },
    body: JSON.stringify(body),
  });
  const { key, api_key } = (await made.json()) as { key: string; api_key: { id: string } };
  return { key, id: api_key.id };
};

const reason = ({ status, body }: { status: number; body: string }) => [
  status,
  body === "" ? "" : JSON.parse(body).reason,
];

test("a key begins a session whose cookie no script reads and no other host gets; logout ends it", async () => {
  const visitor = new Visitor();
  const made = await visitor.visit(at("/session"), { method: "POST", headers: { origin, "x-api-key": adminKey } });
  expect([made.status, JSON.parse(made.body)]).toEqual([
    201,
    { role: "admin", by: "session", expires_at: expect.any(String) },
  ]);
  expect(made.setCookies).toEqual([
    expect.stringMatching(
      new RegExp(`^__Host-stacyvm-${port}=[\\w-]{43}; Path=/; Max-Age=43200; Secure; HttpOnly; SameSite=Strict$`),
    ),
  ]);
  expect((await visitor.visit(at("/admin/api-keys"))).status).toBe(200);
  const cookie = visitor.cookies("app.localhost");
  expect(reason(await visitor.visit(at("/session"), { method: "DELETE", headers: { origin } }))).toEqual([204, ""]);
  expect(visitor.cookies("app.localhost")).toBe("");
  expect(reason(await new Visitor().visit(at("/sandboxes"), { headers: { cookie } }))).toEqual([
    401,
    "unauthenticated",
  ]);
});

test("who asks and how one logs in is told to everybody, and no more", async () => {
  expect(JSON.parse((await new Visitor().visit(at("/session"))).body)).toEqual({
    credential_needed: true,
    key_login: true,
    issuer_login_url: at("/session/authorize"),
  });
  const { caller } = JSON.parse((await (await loggedIn(apiKey)).visit(at("/session"))).body);
  expect(caller).toMatchObject({ role: "api", by: "session" });
});

test("a person logs in with the issuer, and is what the ID token's groups say, until the token's own end", async () => {
  const { visitor, end } = await byIssuer("alice");
  expect([end.status, end.url]).toEqual([200, at("/session")]);
  const { caller } = JSON.parse(end.body);
  expect(caller).toMatchObject({ role: "operator", by: "session", owner_id: "alice", tenant_id: "acme" });
  expect(Date.parse(caller.expires_at) - Date.now()).toBeLessThanOrEqual(600_000);
  expect(visitor.cookies("app.localhost")).toMatch(new RegExp(`^__Host-stacyvm-${port}=[\\w-]{43}$`));

  const headers = { origin, "x-user-id": "mallory", "x-tenant-id": "other" };
  const made = await visitor.visit(at("/sandboxes"), { method: "POST", headers, body: {} });
  expect([made.status, JSON.parse(made.body)]).toMatchObject([201, { owner_id: "alice", tenant_id: "acme" }]);
  expect((await visitor.visit(at("/admin/api-keys"))).status).toBe(403);
  expect((await (await byIssuer("root")).visitor.visit(at("/admin/api-keys"))).status).toBe(200);
});

test("without a role, or where the issuer refuses, there is no session", async () => {
  const eve = await byIssuer("eve");
  expect(reason(eve.end)).toEqual([403, "permission_denied"]);
  expect(eve.visitor.cookies("app.localhost")).not.toContain(`__Host-stacyvm-${port}`);
  const nobody = await byIssuer(undefined);
  expect(reason(nobody.end)).toEqual([401, "login_failed"]);
  expect(nobody.end.body).toContain("access_denied");
});

test("the transaction's cookie is Lax, for ten minutes, and good for one login of one browser", async () => {
  issuer.setPerson("alice");
  const visitor = new Visitor();
  const begun = await visitor.visit(at("/session/authorize"), { follow: false });
  expect(begun.setCookies).toEqual([
    expect.stringMatching(
      new RegExp(`^__Host-stacyvm-login-${port}=[^;]+; Path=/; Max-Age=600; Secure; HttpOnly; SameSite=Lax$`),
    ),
  ]);
  const authorize = new URL(begun.headers.location ?? "");
  expect(authorize.searchParams.get("code_challenge_method")).toBe("S256");
  for (const name of ["state", "nonce", "code_challenge"]) expect(authorize.searchParams.get(name)).toHaveLength(43);

  // To the issuer and back as far as the callback's address, which is then used by several.
  const back = new Visitor();
  let next = begun.headers.location ?? "";
  while (!next.startsWith(origin)) {
    next = new URL((await back.visit(next, { follow: false })).headers.location ?? "", next).href;
  }
  const transaction = { cookie: visitor.cookies("app.localhost") };
  const stranger = new Visitor();
  await stranger.visit(at("/session/authorize"), { follow: false });
  expect(reason(await stranger.visit(next, { follow: false }))).toEqual([401, "login_failed"]);
  expect(reason(await new Visitor().visit(next, { follow: false }))).toEqual([401, "login_failed"]);
  const tampered = next.replace(/state=[^&]+/, `state=${"x".repeat(43)}`);
  expect(reason(await new Visitor().visit(tampered, { follow: false, headers: transaction }))).toEqual([
    401,
    "login_failed",
  ]);
  const done = await new Visitor().visit(next, { follow: false, headers: transaction });
  expect([done.status, done.headers.location]).toEqual([302, `${origin}/`]);
  expect(done.setCookies[0]).toMatch(/^__Host-stacyvm-login-\d+=; Path=\/; Max-Age=0;/);
  const again = await new Visitor().visit(next, { follow: false, headers: transaction });
  expect([...reason(again), again.setCookies]).toEqual([401, "login_failed", []]);
});

test("a login begun at another name of this machine goes on at the session's own", async () => {
  for (const host of ["localhost", "127.0.0.1"]) {
    const moved = await new Visitor().visit(`http://${host}:${port}/api/v1/session/authorize?return_to=/a%3Fb`, {
      follow: false,
    });
    expect([moved.status, moved.headers.location, moved.setCookies]).toEqual([
      302,
      `${at("/session/authorize")}?return_to=%2Fa%3Fb`,
      [],
    ]);
    const refused = await new Visitor().visit(`http://${host}:${port}/api/v1/session`, {
      method: "POST",
      headers: { origin: `http://${host}:${port}`, "x-api-key": adminKey },
    });
    expect([...reason(refused), refused.setCookies]).toEqual([403, "foreign_origin", []]);
  }
});

test.each(["//evil.example", "/\\evil.example", "https://evil.example", "evil", "/a\tb", "/a\\..\\b", ""])(
  "after a login nobody is led to %j",
  async (path) => {
    const refused = await new Visitor().visit(`${at("/session/authorize")}?return_to=${encodeURIComponent(path)}`, {
      follow: false,
    });
    expect(reason(refused)).toEqual([400, "invalid_input"]);
  },
);

test("what a cookie lets in changes nothing unless it comes from the server's own pages", async () => {
  const visitor = await loggedIn();
  const count = async () => JSON.parse((await visitor.visit(at("/quotas"))).body).length as number;
  const before = await count();
  const put = (headers: Record<string, string>) => visitor.visit(at("/quotas/bob"), { method: "DELETE", headers });
  for (const foreign of [
    {},
    { origin: "null" },
    { origin: server.url },
    { origin: `${origin}0` },
    { origin: `https://app.localhost:${port}` },
  ]) {
    expect([foreign, ...reason(await put(foreign as Record<string, string>))]).toEqual([
      foreign,
      403,
      "foreign_origin",
    ]);
  }
  expect(await count()).toBe(before);
  expect(reason(await put({ origin }))).toEqual([404, "quota_not_found"]);
  expect(reason(await visitor.visit(at("/session"), { method: "DELETE" }))).toEqual([403, "foreign_origin"]);
});

test("a WebSocket by cookie needs the server's own origin", async () => {
  const visitor = await loggedIn();
  const open = (headers: Record<string, string>): Promise<string> =>
    new Promise((resolve) => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}/api/v1/sandboxes/sb-0000000000000000/exec/ws`, {
        headers: { host: new URL(origin).host, cookie: visitor.cookies("app.localhost"), ...headers },
      });
      socket.once("unexpected-response", (_request, answer) => resolve(String(answer.statusCode)));
      socket.once("error", (error) => resolve(error.message));
      socket.once("open", () => {
        resolve("open");
        socket.terminate();
      });
    });
  expect(await open({})).toBe("403");
  expect(await open({ origin: server.url })).toBe("403");
  expect(await open({ origin })).toBe("open");
});

test("a cookie doesn't count at another name, for a neighbour's page, twice, or beside an explicit credential", async () => {
  const visitor = await loggedIn();
  const cookie = visitor.cookies("app.localhost");
  const look = async (url: string, headers: Record<string, string>) =>
    reason(await new Visitor().visit(url, { headers: { cookie, ...headers } }))[0];
  expect(await look(at("/admin/api-keys"), {})).toBe(200);
  expect(await look(`http://localhost:${port}/api/v1/admin/api-keys`, {})).toBe(401);
  expect(await look(`http://3000-sb-1.localhost:${port}/api/v1/admin/api-keys`, {})).toBe(401);
  for (const site of ["same-site", "cross-site"]) {
    expect(await look(at("/admin/api-keys"), { "sec-fetch-site": site })).toBe(401);
  }
  expect(await look(at("/admin/api-keys"), { cookie: `${cookie}; ${cookie}` })).toBe(401);
  expect(await look(at("/admin/api-keys"), { "x-api-key": "wrong" })).toBe(401);
  expect(await look(at("/admin/api-keys"), { "x-api-key": apiKey })).toBe(403);
  expect(await look(at("/admin/api-keys"), { authorization: "Bearer x" })).toBe(401);
});

test("a login ends the session that the browser had, and the oldest of too many", async () => {
  const visitor = await loggedIn(apiKey);
  const first = visitor.cookies("app.localhost");
  await visitor.visit(at("/session"), { method: "POST", headers: { origin, "x-api-key": apiKey } });
  const second = visitor.cookies("app.localhost");
  expect(second).not.toBe(first);
  const status = async (cookie: string) =>
    (await new Visitor().visit(at("/sandboxes"), { headers: { cookie } })).status;
  expect([await status(first), await status(second)]).toEqual([401, 200]);

  const { key } = await namedKey({ name: "many", role: "viewer" });
  const jars = [await loggedIn(key), await loggedIn(key), await loggedIn(key)];
  const all = await Promise.all(jars.map((jar) => status(jar.cookies("app.localhost"))));
  expect(all).toEqual([401, 200, 200]);
});

test("a session ends with the key that it hangs on", async () => {
  const { key, id } = await namedKey({ name: "short", role: "operator" });
  const visitor = await loggedIn(key);
  expect((await visitor.visit(at("/sandboxes"))).status).toBe(200);
  expect((await visitor.visit(at("/admin/api-keys"))).status).toBe(403);
  const revoked = await fetch(`${server.url}/api/v1/admin/api-keys/${id}`, {
    method: "DELETE",
    headers: { "x-api-key": adminKey },
  });
  expect(revoked.status).toBe(200);
  expect((await visitor.visit(at("/sandboxes"))).status).toBe(401);
});

test("a session is made by a credential, and ended where there is one", async () => {
  const visitor = await loggedIn();
  expect(reason(await visitor.visit(at("/session"), { method: "POST", headers: { origin } }))).toEqual([
    400,
    "invalid_input",
  ]);
  const anonymous = await new Visitor().visit(at("/session"), { method: "POST", headers: { origin } });
  expect([...reason(anonymous), anonymous.setCookies]).toEqual([401, "unauthenticated", []]);
  const byKey = await new Visitor().visit(at("/session"), { method: "DELETE", headers: { "x-api-key": adminKey } });
  expect(reason(byKey)).toEqual([404, "session_not_found"]);
});

test("an issuer that can't be asked lets nobody log in, and says so", async () => {
  await using elsewhere = await startIssuer({ audience: "https://sandboxes.example", people });
  const config = {
    "auth.admin_api_key": adminKey,
    "auth.oidc_issuer": elsewhere.url,
    "auth.oidc_audience": "https://sandboxes.example",
    "auth.oidc_client_id": "web",
  };
  elsewhere.setDown(true);
  await using own = await startServer({ config });
  const url = `http://app.localhost:${new URL(own.url).port}/api/v1/session/authorize`;
  expect(reason(await new Visitor().visit(url))).toEqual([503, "issuer_unavailable"]);
  elsewhere.setDown(false);
  const status = async () => (await new Visitor().visit(url, { follow: false })).status;
  await expect.poll(status, { timeout: 15_000, interval: 500 }).toBe(302);
});

test("a server that asks nobody for a credential has no sessions", async () => {
  await using open = await startServer();
  const here = `http://app.localhost:${new URL(open.url).port}`;
  const state = await new Visitor().visit(`${here}/api/v1/session`);
  expect(JSON.parse(state.body)).toEqual({ credential_needed: false, key_login: false });
  const made = await new Visitor().visit(`${here}/api/v1/session`, { method: "POST", headers: { origin: here } });
  expect(reason(made)).toEqual([409, "credentials_not_configured"]);
});

test("behind one public address a session counts on every server, and what one ends ends on the others within five seconds", async (context) => {
  const why = await whyNoPostgres();
  if (why !== undefined) context.skip(why);
  await using postgres = await startPostgres();
  const config = {
    "auth.admin_api_key": adminKey,
    "database.driver": "postgres",
    "database.dsn": (await postgres.freshDatabase()).reveal(),
    "server.public_url": "https://sandboxes.invalid",
  };
  await using one = await startServer({ config });
  await using other = await startServer({ config });
  const address = { Host: "sandboxes.invalid", origin: "https://sandboxes.invalid" };
  const ask = (server: TestServer, method: string, path: string, headers: Record<string, string>) =>
    new Visitor().visit(`${server.url}/api/v1${path}`, { method, headers: { ...address, ...headers } });
  const begin = async (key: string): Promise<string> => {
    const { setCookies } = await ask(one, "POST", "/session", { "x-api-key": key });
    expect(setCookies[0]).toMatch(/^__Host-stacyvm-443=/);
    return setCookies[0]?.split(";")[0] ?? "";
  };
  const made = await fetch(`${one.url}/api/v1/admin/api-keys`, {
    method: "POST",
    headers: { "x-api-key": adminKey },
    body: JSON.stringify({ name: "shared", role: "viewer" }),
  });
  const { key, api_key } = (await made.json()) as { key: string; api_key: { id: string } };
  const [byAdmin, byKey] = [await begin(adminKey), await begin(key)];
  const statuses = async () =>
    await Promise.all(
      [byAdmin, byKey].map(async (cookie) => (await ask(other, "GET", "/sandboxes", { cookie })).status),
    );
  expect(await statuses()).toEqual([200, 200]);
  const endedAt = performance.now();
  expect((await ask(one, "DELETE", "/session", { cookie: byAdmin })).status).toBe(204);
  expect((await ask(one, "DELETE", `/admin/api-keys/${api_key.id}`, { "x-api-key": adminKey })).status).toBe(200);
  await expect.poll(statuses, { timeout: 15_000, interval: 250 }).toEqual([401, 401]);
  expect(performance.now() - endedAt).toBeLessThan(7_000);
});

test("a session is where its person is a member, and as what, at each moment", async () => {
  await using own = await startServer({
    config: {
      "auth.admin_api_key": adminKey,
      "auth.oidc_issuer": issuer.url,
      "auth.oidc_audience": "https://sandboxes.example",
      "auth.oidc_client_id": "web",
      "auth.oidc_client_secret": clientSecret,
      "auth.oidc_operator_groups": "builders",
    },
  });
  const here = `http://app.localhost:${new URL(own.url).port}`;
  issuer.allowRedirect(`${here}/api/v1/session/callback`);
  const administer = (method: string, path: string, body?: object) =>
    new Visitor().visit(`${here}/api/v1/admin${path}`, {
      method,
      headers: { "x-api-key": adminKey },
      ...(body && { body }),
    });
  for (const id of ["acme", "rival"]) expect((await administer("POST", "/tenants", { id, name: id })).status).toBe(201);
  issuer.setPerson("alice");
  const alice = new Visitor();
  await alice.visit(`${here}/api/v1/session/authorize?return_to=/api/v1/session`);
  const caller = async () => JSON.parse((await alice.visit(`${here}/api/v1/session`)).body).caller;
  expect(await caller()).toMatchObject({ role: "operator", by: "session", tenant_id: "acme" });
  await administer("PUT", "/tenants/acme/members/alice", { role: "viewer" });
  expect(await caller()).toMatchObject({ role: "viewer", tenant_id: "acme" });
  const spawn = { method: "POST", headers: { origin: here }, body: {} };
  expect(reason(await alice.visit(`${here}/api/v1/sandboxes`, spawn))).toEqual([403, "permission_denied"]);
  const rival = { headers: { "x-tenant-id": "rival" } };
  expect(reason(await alice.visit(`${here}/api/v1/sandboxes`, rival))).toEqual([404, "tenant_not_found"]);
  issuer.setPerson("eve");
  const eve = new Visitor();
  const toSession = `${here}/api/v1/session/authorize?return_to=/api/v1/session`;
  expect(reason(await eve.visit(toSession))).toEqual([403, "permission_denied"]);
  await administer("PUT", "/tenants/rival/members/eve", { role: "operator" });
  expect(JSON.parse((await eve.visit(toSession)).body).caller).toMatchObject({ role: "operator", tenant_id: "rival" });
  await administer("PUT", "/tenants/rival/members/alice", { role: "viewer" });
  expect((await alice.visit(`${here}/api/v1/sandboxes`, rival)).status).toBe(200);
});
