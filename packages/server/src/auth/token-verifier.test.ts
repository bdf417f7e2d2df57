import { createPublicKey } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, exportSPKI, generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import type { ClaimRules } from "./claims.ts";
import { forgedTokens, tokenForgery } from "./forged-tokens.testing.ts";
import { createTokenVerifier, type TokenVerifierOptions } from "./token-verifier.ts";

const issuer = "https://issuer.example";
const audience = "stacyvm";
const startMs = 1_800_000_000_000;
const seconds = startMs / 1000;

const claims: ClaimRules = {
  groupsClaim: "groups",
  tenantClaim: "tenant_id",
  adminGroups: ["admins"],
  tenantAdminGroups: ["owners"],
  operatorGroups: ["ops"],
  viewerGroups: ["lookers"],
  defaultRole: "none",
};

const { pem, own: rsa, other, good, sign, forge } = await tokenForgery({ issuer, audience, now: () => seconds });
const usual = good();

let nowMs = startMs;
const clock = { now: () => nowMs };
const verifier = (more: Partial<TokenVerifierOptions> = {}) =>
  createTokenVerifier({
    issuer,
    audience,
    jwksUrl: "",
    publicKey: pem,
    keysKeptMs: 3_600_000,
    claims,
    fetch,
    clock,
    ...more,
  });

beforeEach(() => {
  nowMs = startMs;
});

test("a good token names its subject, role and tenant", async () => {
  const token = await sign({ ...usual, groups: ["ops", "lookers"], tenant_id: "acme" });
  expect(await verifier().verify(token)).toEqual({
    ownerId: "alice",
    role: "operator",
    tenantId: "acme",
    member: { issuer: "https://issuer.example", userId: "alice" },
    expiresAtMs: (seconds + 60) * 1000,
  });
});

test.each(forgedTokens)("a token with %s is refused", async (name) => {
  await expect(verifier().verify(await forge(name))).rejects.toMatchObject({
    reason: "unauthenticated",
    message: expect.stringMatching(/^invalid or expired JWT: /),
  });
});

test.each([
  ["30 s ahead", { iat: seconds + 30, nbf: seconds + 30 }],
  ["one of several audiences", { aud: ["x", audience] }],
  ["a certificate's thumbprint and other headers", {}],
])("a token with %s is accepted", async (_name, more) => {
  expect(await verifier().verify(await sign({ ...usual, ...more }, { x5t: "abc", typ: "at+jwt" }))).toMatchObject({
    ownerId: "alice",
  });
});

test.each(["PS256", "ES256", "ES384", "ES512", "EdDSA"])("%s signatures are accepted", async (alg) => {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  const token = await new SignJWT(usual).setProtectedHeader({ alg }).sign(privateKey);
  const own = verifier({ publicKey: await exportSPKI(publicKey) });
  expect(await own.verify(token)).toMatchObject({ ownerId: "alice" });
  await expect(verifier().verify(token)).rejects.toMatchObject({ reason: "unauthenticated" });
});

test.each([
  [["admins", "lookers"], "groups", "admin"],
  [["owners"], "groups", "tenant_admin"],
  ["lookers", "groups", "viewer"],
  [["strangers"], "groups", "anonymous"],
  [undefined, "groups", "anonymous"],
  [{ admins: true }, "groups", "anonymous"],
  [[["admins"]], "groups", "anonymous"],
])("groups %j of claim %s make %s", async (groups, groupsClaim, role) => {
  const token = await sign({ ...usual, groups });
  expect(await verifier({ claims: { ...claims, groupsClaim } }).verify(token)).toMatchObject({ role });
});

test("groups may lie deeper, under a name with dots, and never in what every object has", async () => {
  const named = (groupsClaim: string) => verifier({ claims: { ...claims, groupsClaim } });
  const deep = await sign({ ...usual, realm_access: { roles: ["admins"] }, "https://a.example/groups": ["ops"] });
  expect(await named("realm_access.roles").verify(deep)).toMatchObject({ role: "admin" });
  expect(await named("https://a.example/groups").verify(deep)).toMatchObject({ role: "operator" });
  expect(await named("constructor.name").verify(deep)).toMatchObject({ role: "anonymous" });
});

test("a subject that can't be an owner's id is stood for by one that can, each by its own", async () => {
  const owners = new Set<string>();
  for (const sub of ["repo:org/a", "repo:org/b", "x".repeat(300), "a b"]) {
    const { ownerId } = await verifier().verify(await sign({ ...usual, sub }));
    expect(ownerId).toMatch(/^sub-[0-9a-f]{32}$/);
    owners.add(ownerId);
  }
  expect(owners.size).toBe(4);
});

test("what is no public key stops the start", () => {
  for (const publicKey of ["secret", "-----BEGIN PRIVATE KEY-----\nx", pem.replace(/[A-Z]/g, "!")]) {
    expect(() => verifier({ publicKey })).toThrow("auth.oidc_public_key is not the PEM");
  }
  expect(createPublicKey(pem).type).toBe("public");
});

describe("keys by address", () => {
  let keys: readonly object[] = [];
  let answer: (() => [number, string]) | undefined;
  let asked = 0;
  const server = createServer((request, response) => {
    asked += 1;
    const good: [number, string] = [200, JSON.stringify({ keys })];
    const [status, body] = request.url === "/elsewhere" ? good : (answer?.() ?? good);
    response.writeHead(status, { "content-type": "application/json", location: "/elsewhere" }).end(body);
  });
  server.listen(0, "127.0.0.1");
  afterAll(() => server.close());
  const jwksUrl = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
  const remote = () => verifier({ publicKey: "", jwksUrl: jwksUrl() });

  const jwk = async (kid: string, pair = rsa) => ({ ...(await exportJWK(pair.publicKey)), kid, use: "sig" });

  beforeEach(async () => {
    keys = [await jwk("one")];
    answer = undefined;
    asked = 0;
  });

  test("a rotated key works at once, and the old one ends with the next question", async () => {
    const own = remote();
    const [old, fresh] = [await sign(usual, { kid: "one" }), await sign(usual, { kid: "two" }, other.privateKey)];
    await own.verify(old);
    keys = [await jwk("two", other)];
    nowMs += 5_000;
    await own.verify(fresh);
    expect(asked).toBe(2);
    await expect(own.verify(old)).rejects.toMatchObject({ reason: "unauthenticated" });
  });

  test("a flood of unknown keys makes one question in five seconds", async () => {
    const own = remote();
    await own.verify(await sign(usual, { kid: "one" }));
    const unknown = await sign(usual, { kid: "x" }, other.privateKey);
    const flood = () => Promise.allSettled(Array.from({ length: 500 }, () => own.verify(unknown)));
    await flood();
    expect(asked).toBe(1);
    nowMs += 5_000;
    const verdicts = await flood();
    await flood();
    expect(verdicts.every(({ status }) => status === "rejected")).toBe(true);
    expect(asked).toBe(2);
  });

  test("a short outage is survived and a long one fails closed, until the issuer is back", async () => {
    const own = verifier({ publicKey: "", jwksUrl: jwksUrl(), keysKeptMs: 600_000 });
    const token = () => sign({ ...usual, exp: nowMs / 1000 + 60 }, { kid: "one" });
    await own.verify(await token());
    answer = () => [503, "down"];
    nowMs += 599_000;
    await own.verify(await token());
    nowMs += 2_000;
    await expect(own.verify(await token())).rejects.toMatchObject({ reason: "issuer_unavailable" });
    answer = undefined;
    await expect(own.verify(await token())).rejects.toMatchObject({ reason: "issuer_unavailable" });
    nowMs += 5_000;
    expect(await own.verify(await token())).toMatchObject({ ownerId: "alice" });
  });

  test.each([
    ["a redirect", () => [302, ""]],
    ["no JSON", () => [200, "<html>"]],
    ["no set", () => [200, '{"keys":{}}']],
    ["symmetric keys alone", () => [200, '{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"one"}]}']],
    [
      "more than 256 KiB",
      (good: readonly object[]) => [200, JSON.stringify({ keys: good, padding: "x".repeat(262_144) })],
    ],
  ] as const)("an issuer that answers with %s has no keys", async (_name, answers) => {
    answer = () => [...answers(keys)] as [number, string];
    await expect(remote().verify(await sign(usual, { kid: "one" }))).rejects.toMatchObject({
      reason: "issuer_unavailable",
    });
  });

  test("a token without a key's name is refused where there are several", async () => {
    keys = [await jwk("one"), await jwk("two", other)];
    await expect(remote().verify(await sign(usual))).rejects.toMatchObject({ reason: "unauthenticated" });
  });

  test("keys are not had from an address that can be listened to", async () => {
    const failures: unknown[] = [];
    const own = verifier({
      publicKey: "",
      jwksUrl: "http://issuer.example/keys",
      onFailure: (error) => failures.push(error),
    });
    await expect(own.verify(await sign(usual))).rejects.toMatchObject({ reason: "issuer_unavailable" });
    expect(String(failures[0])).toContain("is not https");
  });
});
