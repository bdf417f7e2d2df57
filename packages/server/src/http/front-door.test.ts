import { defineOperation, json, StacyError } from "@stacyvm/contract";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { FailurePenalties } from "../auth/failure-penalties.ts";
import { RateLimiter } from "../auth/rate-limiter.ts";
import type { Role } from "../auth/roles.ts";
import type { TokenVerifier } from "../auth/token-verifier.ts";
import { parseNetworks } from "../lib/networks.ts";
import { placeOf } from "../sandbox/scope.ts";
import { type TestAppOptions, testApp } from "./app.testing.ts";
import { createClientAddress } from "./client-address.ts";
import type { Identity } from "./identity.ts";
import type { RateLimitOptions } from "./rate-limit.ts";

const row = { method: "GET", summary: "Test", auditClass: "none", errors: [], stream: "none", lenient: true } as const;
const answers = { 200: json(z.strictObject({ role: z.string(), tenant: z.string(), owner: z.string() })) };
const operations = [
  defineOperation({ ...row, id: "t.list", path: "/api/v1/sandboxes", permission: "sandbox:read", answers }),
  defineOperation({ ...row, id: "t.write", path: "/api/v1/made", permission: "sandbox:write", answers }),
  defineOperation({ ...row, id: "t.health", path: "/api/v1/health", permission: "public", answers }),
  defineOperation({ ...row, id: "t.quota", path: "/api/v1/quotas", permission: "quota:write", answers }),
  defineOperation({ ...row, id: "t.admin", path: "/api/v1/admin/diagnostics", permission: "system:read", answers }),
] as const;

type Asked = { identity: Identity };
const tell = async ({ identity }: Asked) => ({
  status: 200,
  body: { role: identity.role, tenant: placeOf(identity.scope).tenantId, owner: identity.ownerHeader },
});
const handlers = { "t.list": tell, "t.write": tell, "t.health": tell, "t.quota": tell, "t.admin": tell };

const api = "k".repeat(40);
const admin = "a".repeat(40);
const both = { apiKey: api, adminKey: admin };

const ask = async (options: Partial<TestAppOptions>, url: string, headers: Record<string, string> = {}) =>
  testApp({ operations, handlers, ...options }).inject({ url, headers });

test.each([
  [{}, {}, 200],
  [{ apiKey: api }, { "x-api-key": api }, 200],
  [{ apiKey: api }, {}, 401],
  [{ apiKey: api }, { "x-api-key": "wrong" }, 401],
  [{ apiKey: api }, { "x-admin-api-key": api }, 200],
  [both, { "x-api-key": admin }, 200],
  [both, { "x-admin-api-key": admin }, 200],
  [both, { "x-admin-api-key": "wrong", "x-api-key": api }, 200],
  [{ adminKey: admin }, {}, 401],
])("with %j a normal route and headers %j give %i", async (options, headers, status) => {
  const answer = await ask(options, "/api/v1/sandboxes", headers);
  expect(answer.statusCode).toBe(status);
  if (status === 401)
    expect(answer.json()).toMatchObject({ code: "UNAUTHORIZED", message: "invalid or missing API key" });
});

test.each([
  [{}, {}, 200],
  [{ apiKey: api, adminFallback: true }, { "x-api-key": api }, 200],
  [{ apiKey: api }, { "x-api-key": api }, 403],
  [both, { "x-api-key": api }, 403],
  [both, { "x-admin-api-key": admin }, 200],
  [both, { "x-api-key": admin }, 200],
  [both, {}, 401],
  [{ adminKey: admin }, {}, 401],
  [{ ...both, adminFallback: true }, { "x-api-key": api }, 403],
])("with %j the admin area and headers %j give %i", async (options, headers, status) => {
  for (const url of ["/api/v1/admin/diagnostics", "/api/v1/admin/unknown"]) {
    const answer = await ask(options, url, headers);
    expect(answer.statusCode).toBe(status === 200 && url.endsWith("unknown") ? 404 : status);
  }
});

test.each([
  [{ apiKey: api, adminFallback: true }, { "x-api-key": api }, 200],
  [{ apiKey: api }, { "x-api-key": api }, 403],
  [{ ...both, adminFallback: true }, { "x-api-key": api }, 403],
  [both, { "x-api-key": admin }, 200],
  [both, { "x-api-key": api, "x-admin-api-key": admin }, 200],
])("with %j what administrators do outside of their area and headers %j give %i", async (options, headers, status) => {
  const answer = await ask(options, "/api/v1/quotas", headers);
  expect(answer.statusCode).toBe(status);
  if (status === 200) expect(answer.json()).toMatchObject({ role: "admin" });
});

/** Accepts tokens that say what they are: `good viewer`. */
const tokens: TokenVerifier = {
  async verify(token) {
    const [word, role] = token.split(" ");
    if (word === "down") throw new StacyError("issuer_unavailable", "the issuer's keys can't be had");
    if (word !== "good") throw new StacyError("unauthenticated", "invalid or expired JWT: malformed JWT");
    const member = { issuer: "https://issuer", userId: "alice" };
    return { ownerId: "alice", role: (role ?? "anonymous") as Role, tenantId: "acme", member, expiresAtMs: 0 };
  },
};
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

test.each([
  [{}, bearer("good viewer"), 200],
  [{}, { authorization: "bearer good viewer" }, 200],
  [{}, {}, 403],
  [{}, bearer("not.a.jwt"), 401],
  [{}, bearer("good"), 403],
  [{}, bearer("down"), 503],
  [{}, bearer("stacyvm-worker-v1.a.b"), 403],
  [{ apiKey: api }, { "x-api-key": api }, 200],
  [{ apiKey: api }, bearer("good viewer"), 200],
  [{ apiKey: api }, bearer("not.a.jwt"), 401],
  [{ apiKey: api }, { ...bearer("not.a.jwt"), "x-api-key": api }, 401],
  [{ apiKey: api }, bearer("stacyvm-worker-v1.a.b"), 401],
  [{ apiKey: api }, { authorization: "Basic Z29vZDp2aWV3ZXI=", "x-api-key": api }, 200],
  [{ apiKey: api }, {}, 401],
  [{ apiKey: api }, bearer("good"), 403],
])("with an issuer and %j a read and headers %j give %i", async (options, headers, status) => {
  expect((await ask({ ...options, tokens }, "/api/v1/sandboxes", headers)).statusCode).toBe(status);
});

test.each([
  ["viewer", 200, 403, 403],
  ["operator", 200, 200, 403],
  ["tenant_admin", 200, 200, 403],
  ["admin", 200, 200, 200],
] as const)("a token of role %s gets %i for a read, %i for a write and %i in the admin area", async (role, ...all) => {
  const app = testApp({ operations, handlers, tokens });
  const urls = ["/api/v1/sandboxes", "/api/v1/made", "/api/v1/admin/diagnostics"];
  const got = await Promise.all(urls.map((url) => app.inject({ url, headers: bearer(`good ${role}`) })));
  expect(got.map(({ statusCode }) => statusCode)).toEqual(all);
});

test("a token's bearer is its subject, of its tenant, whatever headers beside it say", async () => {
  const headers = { ...bearer("good operator"), "x-user-id": "mallory", "x-tenant-id": "other" };
  expect((await ask({ tokens }, "/api/v1/sandboxes", headers)).json()).toEqual({
    role: "operator",
    tenant: "acme",
    owner: "alice",
  });
});

test("a token that can't be accepted counts as none at an open door", async () => {
  for (const token of ["not.a.jwt", "down"]) {
    const answer = await ask({ tokens }, "/api/v1/health", bearer(token));
    expect([answer.statusCode, answer.json().role]).toEqual([200, "anonymous"]);
  }
});

describe("rates", () => {
  let nowMs = 0;
  const clock = { now: () => nowMs };
  const url = "/api/v1/sandboxes";
  const rates = (keyBy: RateLimitOptions["keyBy"], proxies: readonly string[] = []): RateLimitOptions => ({
    limiter: new RateLimiter({ requestsPerMinute: 60, burst: 2, idleMs: 900_000, cleanupIntervalMs: 60_000, clock }),
    keyBy,
    penalties: new FailurePenalties(clock),
    addressOf: createClientAddress(parseNetworks(proxies)),
  });
  const served = (keyBy: RateLimitOptions["keyBy"], proxies: readonly string[] = []) =>
    testApp({ operations, handlers, apiKey: api, adminKey: admin, rates: rates(keyBy, proxies) });
  const statuses = async (app: ReturnType<typeof served>, ...all: Record<string, string>[]) => {
    const got: number[] = [];
    for (const headers of all) got.push((await app.inject({ url, headers })).statusCode);
    return got;
  };

  test("the third request of a burst of two waits for its second, and is told so", async () => {
    const app = served("owner");
    const ask = () => app.inject({ url, headers: { "x-api-key": api } });
    const told = async () => {
      const { statusCode, headers } = await ask();
      return [statusCode, headers["x-ratelimit-limit"], headers["x-ratelimit-remaining"], headers["retry-after"]];
    };
    expect(await told()).toEqual([200, "2", "1", undefined]);
    expect(await told()).toEqual([200, "2", "0", undefined]);
    expect(await told()).toEqual([429, "2", "0", "1"]);
    expect((await ask()).json()).toMatchObject({
      code: "RESOURCE_LIMIT",
      reason: "rate_limited",
      message: "rate limit exceeded; retry after 1s",
      details: { retry_after_seconds: 1 },
    });
    nowMs += 1_000;
    expect((await ask()).statusCode).toBe(200);
  });

  test("owners, credentials and addresses are counted each by itself, as configured", async () => {
    const [alice, bob] = [
      { "x-api-key": api, "x-user-id": "alice" },
      { "x-api-key": api, "x-user-id": "bob" },
    ];
    const boss = { "x-api-key": admin };
    expect(await statuses(served("owner"), alice, alice, alice, bob, boss)).toEqual([200, 200, 429, 200, 200]);
    expect(await statuses(served("api_key"), alice, bob, alice, boss)).toEqual([200, 200, 429, 200]);
    expect(await statuses(served("ip"), alice, bob, boss)).toEqual([200, 200, 429]);
  });

  test("without a credential no header makes a second caller", async () => {
    const app = testApp({ operations, handlers, rates: rates("owner") });
    const asked = ["ann", "bobby", "caroline"].map((user) => ({
      "x-user-id": user,
      "x-api-key": user,
      "x-forwarded-for": `192.0.2.${user.length}`,
    }));
    expect(await statuses(app, ...asked)).toEqual([200, 200, 429]);
  });

  test("behind our own proxy each client is one, whatever it writes before", async () => {
    const app = served("ip", ["127.0.0.1"]);
    const from = (forwarded: string) => ({ "x-api-key": api, "x-forwarded-for": forwarded });
    const asked = [from("192.0.2.1"), from("1.1.1.1, 192.0.2.1"), from("2.2.2.2, 192.0.2.1"), from("192.0.2.2")];
    expect(await statuses(app, ...asked)).toEqual([200, 200, 429, 200]);
  });

  test("wrong keys wait longer and longer, and a right one from the same address never does", async () => {
    const app = testApp({ operations, handlers, apiKey: api });
    const wrong = Array.from({ length: 22 }, () => ({ "x-api-key": "wrong" }));
    const got = await statuses(app, ...wrong);
    expect([got.slice(0, 20).every((status) => status === 401), got.slice(20)]).toEqual([true, [429, 429]]);
    expect(await statuses(app, { "x-api-key": api }, {})).toEqual([200, 401]);
  });
});

test("health is open while keys are configured, and an unknown path under the API is not", async () => {
  expect((await ask(both, "/api/v1/health")).statusCode).toBe(200);
  expect((await ask(both, "/api/v1/unknown")).statusCode).toBe(401);
  expect((await ask(both, "/unknown")).statusCode).toBe(404);
});

test("a tenant counts only with a key, trimmed; the owner header passes as it is", async () => {
  const headers = { "x-tenant-id": " acme ", "x-user-id": "alice@example.com" };
  expect((await ask({}, "/api/v1/sandboxes", headers)).json()).toEqual({
    role: "anonymous",
    tenant: "",
    owner: "alice@example.com",
  });
  expect((await ask({ apiKey: api }, "/api/v1/sandboxes", { ...headers, "x-api-key": api })).json()).toEqual({
    role: "api",
    tenant: "acme",
    owner: "alice@example.com",
  });
});

test.each([
  ["localhost", 200],
  ["LOCALHOST:80", 200],
  ["app.localhost", 200],
  ["127.0.0.1", 200],
  ["[::1]", 200],
  ["localhost:1234", 421],
  ["evil.example", 421],
  ["localhost.evil.example", 421],
  ["evillocalhost", 421],
  ["127.0.0.1.nip.io", 421],
  ["localhost.", 421],
  ["user@localhost", 421],
  ["2130706433", 421],
  [".localhost", 421],
])("on a loopback listener the Host %s gives %i", async (host, status) => {
  expect((await ask({}, "/api/v1/sandboxes", { host })).statusCode).toBe(status);
});

test("a configured public address and preview domain are known hosts", async () => {
  const hosts = {
    loopback: true,
    names: ["box.test", "*.box.test"],
    authorities: ["stacy.example:8443"],
    secure: false,
  };
  for (const host of ["box.test", "3000-sb-1.box.test", "stacy.example:8443"]) {
    expect((await ask({ hosts }, "/api/v1/sandboxes", { host })).statusCode).toBe(200);
  }
  expect((await ask({ hosts }, "/api/v1/sandboxes", { host: "stacy.example" })).statusCode).toBe(421);
});

test.each([
  [{ origin: "http://evil.example" }, 403],
  [{ origin: "null" }, 403],
  [{ origin: "http://localhost:3000" }, 403],
  [{ "sec-fetch-site": "cross-site" }, 403],
  [{ "sec-fetch-site": "same-site" }, 403],
  [{ "sec-fetch-site": "same-origin" }, 200],
  [{ "sec-fetch-site": "none" }, 200],
  [{ origin: "http://localhost" }, 200],
])("without authentication a page that sends %j gets %i", async (headers, status) => {
  for (const corsAllowedOrigins of [[], ["*"], ["http://evil.example", "null"]]) {
    const answer = await ask({ corsAllowedOrigins }, "/api/v1/sandboxes", { host: "localhost", ...headers });
    expect(answer.statusCode).toBe(status);
  }
});

test.each([
  [{ origin: "http://localhost" }, 403],
  [{ origin: "HTTP://LOCALHOST" }, 403],
  [{ origin: "https://localhost" }, 200],
])("under TLS without authentication a page that sends %j gets %i", async (headers, status) => {
  const hosts = { loopback: true, names: [], authorities: [], secure: true };
  const answer = await ask({ hosts }, "/api/v1/sandboxes", { host: "localhost", ...headers });
  expect(answer.statusCode).toBe(status);
});

test("CORS allows every origin by default, and only the listed ones where some are", async () => {
  const origin = "https://app.example";
  const open = await ask({ apiKey: api }, "/api/v1/sandboxes", { origin, "x-api-key": api });
  expect(open.headers["access-control-allow-origin"]).toBe("*");
  const listed = { apiKey: api, corsAllowedOrigins: [origin] };
  const allowed = await ask(listed, "/api/v1/sandboxes", { origin, "x-api-key": api });
  expect(allowed.headers).toMatchObject({ "access-control-allow-origin": origin, vary: "Origin" });
  expect(allowed.headers["access-control-expose-headers"]).toContain("X-Next-Cursor");
  const other = await ask(listed, "/api/v1/sandboxes", { origin: "https://other.example", "x-api-key": api });
  expect(other.statusCode).toBe(200);
  expect(other.headers["access-control-allow-origin"]).toBeUndefined();
});

test("a preflight needs no key; one of an unlisted origin is refused", async () => {
  const app = testApp({ operations, handlers, apiKey: api, corsAllowedOrigins: ["https://app.example"] });
  const url = "/api/v1/sandboxes";
  const yes = await app.inject({ method: "OPTIONS", url, headers: { origin: "https://app.example" } });
  expect([yes.statusCode, yes.body]).toEqual([200, ""]);
  const no = await app.inject({ method: "OPTIONS", url, headers: { origin: "https://other.example" } });
  expect([no.statusCode, no.body]).toEqual([403, "CORS origin is not allowed\n"]);
});

test("a 401 carries the CORS headers, so that a page can read it", async () => {
  const answer = await ask({ apiKey: api }, "/api/v1/sandboxes", { origin: "https://app.example" });
  expect(answer.statusCode).toBe(401);
  expect(answer.headers["access-control-allow-origin"]).toBe("*");
});
