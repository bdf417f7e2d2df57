import { createHash } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createIssuerLogin } from "../../packages/server/src/auth/issuer-login.ts";
import { createTokenVerifier } from "../../packages/server/src/auth/token-verifier.ts";
import { randomIds } from "../../packages/server/src/lib/id.ts";
import { Secret } from "../../packages/server/src/lib/secret.ts";
import { createStore } from "../../packages/server/src/store/create-store.ts";
import type { Store } from "../../packages/server/src/store/store.ts";
import { clientSecret, startIssuer, type TestIssuer } from "./issuer.ts";
import { Visitor } from "./visitor.ts";

const redirectUri = "http://app.localhost:9/back";
const claims = {
  ...{ groupsClaim: "groups", tenantClaim: "tenant_id", defaultRole: "viewer" as const },
  ...{ adminGroups: [], tenantAdminGroups: [], operatorGroups: [], viewerGroups: [] },
};
let issuer: TestIssuer;
let store: Store;
let aheadMs = 0;
const clock = { now: () => Date.now() + aheadMs };

const optionsOf = (idTokenAudience: string) => ({
  issuer: issuer.url,
  clientId: "web",
  clientSecret: new Secret(clientSecret),
  scopes: ["openid"],
  parameters: {},
  idTokens: createTokenVerifier({
    ...{ issuer: issuer.url, audience: idTokenAudience, jwksUrl: "", publicKey: "", keysKeptMs: 60_000 },
    ...{ claims, clock, fetch },
  }),
  fetch,
  store: store.sessions,
  clock,
  ids: randomIds,
});
const login = (idTokenAudience = "web") => createIssuerLogin(optionsOf(idTokenAudience));

beforeAll(async () => {
  issuer = await startIssuer({ audience: "https://sandboxes.example", people: { alice: {} } });
  issuer.allowRedirect(redirectUri);
  issuer.setPerson("alice");
  store = await createStore({ database: { driver: "sqlite", path: ":memory:" }, nowMs: 1 });
});
afterAll(async () => {
  await store[Symbol.asyncDispose]();
  await issuer[Symbol.asyncDispose]();
});

/** A login that has come back from the issuer. */
const begun = async () => {
  const { transaction, authorizeUrl } = await login().begin(redirectUri, "/x?y=ü");
  const browser = new Visitor();
  let next = authorizeUrl;
  while (!next.startsWith(redirectUri)) {
    next = new URL((await browser.visit(next, { follow: false })).headers.location ?? "", next).href;
  }
  return { transaction, callback: new URL(next) };
};
const failed = { reason: "login_failed" };

test("a login ends with the person, and leads where it was begun", async () => {
  const { transaction, callback } = await begun();
  expect(await login().complete(transaction, callback)).toMatchObject({
    token: { ownerId: "alice", role: "viewer" },
    returnTo: "/x?y=ü",
  });
});

test("a login that another server has ended is not ended again, whatever the issuer says", async () => {
  const { transaction, callback } = await begun();
  await store.sessions.spendLogin(createHash("sha256").update(transaction).digest("hex"), clock.now() + 600_000);
  await expect(login().complete(transaction, callback)).rejects.toThrow("this login has ended already");
});

test("a login may take ten minutes, and none begins in the future", async () => {
  const { transaction, callback } = await begun();
  try {
    aheadMs = 600_000;
    await expect(login().complete(transaction, callback)).rejects.toThrow("the login took too long");
    aheadMs = -60_000;
    await expect(login().complete(transaction, callback)).rejects.toMatchObject(failed);
  } finally {
    aheadMs = 0;
  }
});

test("an ID token of another client is none", async () => {
  const { transaction, callback } = await begun();
  await expect(login("other").complete(transaction, callback)).rejects.toMatchObject({ reason: "unauthenticated" });
});

test.each(["", "x", "1.2.3", `zzzzzzzz.${"a".repeat(43)}.`, `1.${"a".repeat(43)}.${"b".repeat(1025)}`])(
  "%j is no login that was begun",
  async (transaction) => {
    await expect(login().complete(transaction, new URL(`${redirectUri}?code=x&state=y`))).rejects.toMatchObject(failed);
  },
);

test("a flood of ends of logins waits for the issuer in a bounded number, and one that is down is asked once in five seconds", async () => {
  const one = login();
  const { transaction, authorizeUrl } = await one.begin(redirectUri, "/");
  const state = new URL(authorizeUrl).searchParams.get("state");
  const forged = new URL(`${redirectUri}?code=x&state=${state}&iss=${encodeURIComponent(issuer.url)}`);
  const reasonOf = (error: unknown) => (error as { reason?: string }).reason;
  const before = issuer.asked();
  const release = issuer.holdTokens();
  const flood = Array.from({ length: 200 }, () => one.complete(transaction, forged).catch(reasonOf));
  await expect.poll(() => issuer.asked() - before).toBe(32);
  release();
  const reasons = await Promise.all(flood);
  const count = (wanted: string) => reasons.filter((reason) => reason === wanted).length;
  expect([count("login_failed"), count("rate_limited")]).toEqual([32, 168]);

  await using down = await startIssuer({ audience: "https://sandboxes.example" });
  down.setDown(true);
  const other = createIssuerLogin({ ...optionsOf("web"), issuer: down.url });
  const begin = () => other.begin(redirectUri, "/").catch(reasonOf);
  const floods = [await Promise.all(Array.from({ length: 50 }, begin)), await Promise.all([begin(), begin()])];
  expect([new Set(floods.flat()), down.asked()]).toEqual([new Set(["issuer_unavailable"]), 1]);
  down.setDown(false);
  try {
    aheadMs = 5_000;
    expect(await begin()).toHaveProperty("transaction");
  } finally {
    aheadMs = 0;
  }
});
