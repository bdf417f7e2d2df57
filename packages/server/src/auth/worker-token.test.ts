import { createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Secret } from "../lib/secret.ts";
import { signWorkerToken, verifyWorkerToken, type WorkerTokenRules, workerScopes } from "./worker-token.ts";

const key = new Secret("worker-signing-key-with-at-least-32-bytes");
const other = new Secret("another-signing-key-with-at-least-32-bytes");
const forControlPlane =
  "stacyvm-worker-v1.eyJ3b3JrZXJfaWQiOiJ3b3JrZXItYSIsImp0aSI6IjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmIiwiYXVkIjoid29ya2VyOmNvbnRyb2wtcGxhbmUiLCJleHAiOjE3ODAwMDAzMDAsImlhdCI6MTc4MDAwMDAwMH0.3xveIm-VLVKP_wTPNxhc14W75J3JcBBbeUX9-0hf50c";
const forWorker =
  "stacyvm-worker-v1.eyJ3b3JrZXJfaWQiOiJ3b3JrZXItYSIsImp0aSI6IjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmIiwiYXVkIjoid29ya2VyOnJwYyIsInNjb3BlcyI6WyJ3b3JrZXI6ZXhlYyJdLCJleHAiOjE3ODAwMDAzMDAsImlhdCI6MTc4MDAwMDAwMCwibmJmIjoxNzgwMDAwMDAwfQ.UWI720mpoPBW-EjuYgCpCAiEuLfKzOrmsBeOaSQuj2s";

const rules = (more: Partial<WorkerTokenRules> = {}): WorkerTokenRules => ({
  keys: [key],
  audience: "worker:control-plane",
  workerId: "worker-a",
  revokedTokenIds: [],
  nowMs: 1_780_000_100_000,
  ...more,
});

const claims = {
  workerId: "worker-a",
  tokenId: "0123456789abcdef0123456789abcdef",
  audience: "worker:control-plane",
  scopes: [],
  issuedAtMs: 1_780_000_000_000,
  expiresAtMs: 1_780_000_300_000,
} as const;

/** Any claims at all, under our key. */
const sealed = (value: unknown): string => {
  const signed = `stacyvm-worker-v1.${Buffer.from(JSON.stringify(value)).toString("base64url")}`;
  return `${signed}.${createHmac("sha256", key.reveal()).update(signed).digest("base64url")}`;
};

describe("tokens that older programs made", () => {
  test("are made the same way here", () => {
    expect(signWorkerToken(claims, key)).toBe(forControlPlane);
  });

  test.each([
    ["is accepted in its time", {}, "accepted"],
    ["is refused when it was issued 31 s ahead", { nowMs: 1_779_999_969_000 }, "refused"],
    ["is accepted when it was issued 30 s ahead", { nowMs: 1_779_999_970_000 }, "accepted"],
    ["is refused at its end", { nowMs: 1_780_000_300_000 }, "refused"],
    ["is accepted just before its end", { nowMs: 1_780_000_299_999 }, "accepted"],
    ["is refused to another worker", { workerId: "worker-b" }, "refused"],
    ["is refused once revoked", { revokedTokenIds: [claims.tokenId] }, "refused"],
    ["is accepted by a key that is being replaced", { keys: [other, key] }, "accepted"],
    ["is nobody's under another key", { keys: [other] }, "foreign"],
    ["is nobody's without keys", { keys: [] }, "foreign"],
  ] as const)("one %s", (_what, more, kind) => {
    expect(verifyWorkerToken(forControlPlane, rules(more)).kind).toBe(kind);
  });

  test("one for a worker is refused by the control plane and carries its scopes at the worker", () => {
    expect(verifyWorkerToken(forWorker, rules()).kind).toBe("refused");
    expect(verifyWorkerToken(forWorker, rules({ audience: "worker:rpc" }))).toEqual({
      kind: "accepted",
      scopes: ["worker:exec"],
    });
  });
});

test("a token carries the scopes that it names, all where it names none, and none that no worker has", () => {
  const scopesOf = (scopes: readonly string[] | undefined) =>
    verifyWorkerToken(sealed({ worker_id: "worker-a", exp: 1_780_000_300, scopes }), rules());
  expect(scopesOf(undefined)).toEqual({ kind: "accepted", scopes: workerScopes });
  expect(scopesOf([])).toEqual({ kind: "accepted", scopes: workerScopes });
  expect(scopesOf(["worker:files", "worker:root"])).toEqual({ kind: "accepted", scopes: ["worker:files"] });
  expect(scopesOf(["worker:root"])).toEqual({ kind: "accepted", scopes: [] });
});

test.each([
  ["a life of 901 s", { worker_id: "worker-a", iat: 1_780_000_000, exp: 1_780_000_901 }],
  ["no worker", { exp: 1_780_000_300 }],
  ["an empty worker", { worker_id: "", exp: 1_780_000_300 }],
  ["no end", { worker_id: "worker-a" }],
  ["an end that is text", { worker_id: "worker-a", exp: "1780000300" }],
  ["a start 31 s ahead", { worker_id: "worker-a", exp: 1_780_000_300, nbf: 1_780_000_131 }],
  ["scopes that are no list", { worker_id: "worker-a", exp: 1_780_000_300, scopes: "worker:exec" }],
  ["claims that are no object", 7],
])("a token of ours with %s is refused", (_what, value) => {
  expect(verifyWorkerToken(sealed(value), rules()).kind).toBe("refused");
});

test("no change to a token leaves it accepted", () => {
  fc.assert(
    fc.property(fc.nat(forControlPlane.length - 1), fc.string({ minLength: 1, maxLength: 1 }), (at, character) => {
      fc.pre(forControlPlane[at] !== character);
      const changed = forControlPlane.slice(0, at) + character + forControlPlane.slice(at + 1);
      expect(verifyWorkerToken(changed, rules()).kind).toBe("foreign");
    }),
  );
});

test("any text at all is judged and never thrown over", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(verifyWorkerToken(text, rules()).kind).toBe("foreign");
      expect(verifyWorkerToken(`stacyvm-worker-v1.${text}`, rules()).kind).toBe("foreign");
    }),
  );
});

test("9,000 characters are not looked at", () => {
  const long = sealed({ worker_id: "worker-a", exp: 1_780_000_300, padding: "x".repeat(9_000) });
  expect(verifyWorkerToken(long, rules()).kind).toBe("foreign");
});
