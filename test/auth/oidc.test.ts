import { afterAll, beforeAll, expect, test } from "vitest";
import { startServer, type TestServer } from "../e2e/server.ts";
import { startIssuer, type TestIssuer } from "./issuer.ts";

const audience = "https://sandboxes.example";
const clients = {
  looker: { groups: ["lookers"] },
  worker: { groups: ["builders"], tenant_id: "acme" },
  chief: { groups: ["chiefs"] },
  stranger: {},
};
let issuer: TestIssuer;
let server: TestServer;

const key = "k".repeat(40);
const chiefHeaders = async () => ({ authorization: `Bearer ${await issuer.token("chief")}` });

const serve = (more: Record<string, string> = {}): Promise<TestServer> =>
  startServer({
    config: {
      "providers.mock.enabled": "true",
      "providers.default": "mock",
      "auth.oidc_issuer": issuer.url,
      "auth.oidc_audience": audience,
      "auth.oidc_viewer_groups": "lookers",
      "auth.oidc_operator_groups": "builders",
      "auth.oidc_admin_groups": "chiefs",
      ...more,
    },
    ...("auth.api_key" in more ? {} : { adminHeaders: chiefHeaders }),
  });

const ask = async (on: TestServer, token: string, method: string, path: string, body?: object) =>
  await fetch(`${on.url}/api/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });

beforeAll(async () => {
  issuer = await startIssuer({ audience, clients });
  server = await serve();
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await issuer[Symbol.asyncDispose]();
});

test("a server that knows an issuer alone opens nothing to anonymous callers but its probes", async () => {
  const status = async (path: string) => (await fetch(`${server.url}/api/v1${path}`)).status;
  expect(await status("/sandboxes")).toBe(403);
  expect(await status("/providers")).toBe(403);
  expect(await status("/quotas")).toBe(403);
  expect(await status("/health")).toBe(200);
});

test("an operator's token makes a sandbox of its subject and tenant, and a viewer's may only look", async () => {
  const [worker, looker] = [await issuer.token("worker"), await issuer.token("looker")];
  const made = await ask(server, worker, "POST", "/sandboxes", { owner_id: "mallory" });
  expect(made.status).toBe(201);
  const sandbox = (await made.json()) as { id: string };
  expect(sandbox).toMatchObject({ owner_id: "worker", tenant_id: "acme" });

  const path = `/sandboxes/${sandbox.id}`;
  const ran = await ask(server, worker, "POST", `${path}/exec`, { command: "echo hello" });
  expect(await ran.json()).toMatchObject({ exit_code: 0, stdout: "hello\n" });

  expect((await ask(server, looker, "GET", path)).status).toBe(200);
  for (const [method, to, body] of [
    ["POST", "/sandboxes", {}],
    ["POST", `${path}/exec`, { command: "true" }],
    ["POST", `${path}/files`, { path: "/tmp/a", content: "a" }],
    ["DELETE", path, undefined],
  ] as const) {
    expect([to, (await ask(server, looker, method, to, body)).status]).toEqual([to, 403]);
  }
  expect((await ask(server, worker, "GET", path)).status).toBe(200);
  expect((await ask(server, worker, "DELETE", path)).status).toBe(200);
});

test("a valid token without a known group may do nothing, and another audience's is refused", async () => {
  expect((await ask(server, await issuer.token("stranger"), "GET", "/sandboxes")).status).toBe(403);
  await using elsewhere = await startIssuer({ audience: "https://other.example", clients });
  expect((await ask(server, await elsewhere.token("chief"), "GET", "/sandboxes")).status).toBe(401);
});

test("a rotated key works within seconds, an outage is survived, and a flood doesn't reach the issuer", async () => {
  await using own = await serve({ "auth.api_key": key });
  expect((await ask(own, await issuer.token("looker"), "GET", "/sandboxes")).status).toBe(200);

  await issuer.rotate();
  const fresh = await issuer.token("looker");
  await expect
    .poll(async () => (await ask(own, fresh, "GET", "/sandboxes")).status, { timeout: 15_000, interval: 500 })
    .toBe(200);

  const before = issuer.keysAsked();
  await issuer.rotate();
  const unknown = await issuer.token("chief");
  issuer.setDown(true);
  const flood = await Promise.all(Array.from({ length: 200 }, () => ask(own, unknown, "GET", "/sandboxes")));
  expect(new Set(flood.map(({ status }) => status))).toEqual(new Set([401, 429]));
  expect((await ask(own, fresh, "GET", "/sandboxes")).status).toBe(200);
  issuer.setDown(false);
  expect(issuer.keysAsked()).toBe(before);
});

test("an issuer that can't be reached from the start refuses its tokens and says so; a key still works", async () => {
  issuer.setDown(true);
  await using own = await serve({ "auth.api_key": key });
  issuer.setDown(false);
  const token = await issuer.token("chief");
  issuer.setDown(true);
  const refused = await ask(own, token, "GET", "/sandboxes");
  expect([refused.status, await refused.json()]).toEqual([
    503,
    expect.objectContaining({ code: "UNAVAILABLE", reason: "issuer_unavailable" }),
  ]);
  const byKey = await fetch(`${own.url}/api/v1/sandboxes`, { headers: { "x-api-key": key } });
  expect(byKey.status).toBe(200);
  issuer.setDown(false);
});
