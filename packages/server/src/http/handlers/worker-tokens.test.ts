import { workerOperations } from "@stacyvm/contract";
import { expect, test } from "vitest";
import { verifyWorkerToken } from "../../auth/worker-token.ts";
import { Secret } from "../../lib/secret.ts";
import type { Store } from "../../store/store.ts";
import { testApp } from "../app.testing.ts";
import { createWorkerHandlers } from "./workers.ts";

const nowMs = 1_800_000_000_000;
const key = new Secret("s".repeat(40));
const [adminKey, apiKey] = ["a".repeat(40), "k".repeat(40)];
let ids = 0;

const ask = async (
  body: object,
  headers = { "x-admin-api-key": adminKey },
  server: { signingKey?: Secret } = { signingKey: key },
) => {
  const handlers = createWorkerHandlers({
    store: {} as Store, // no token is ever kept
    clock: { now: () => nowMs },
    workerSigningKey: server.signingKey,
    newTokenId: () => `id-${++ids}`,
  });
  const app = testApp({ operations: workerOperations, handlers, adminKey, apiKey });
  const answer = await app.inject({
    method: "POST",
    url: "/api/v1/admin/worker-tokens",
    headers,
    body: JSON.stringify(body),
  });
  return { status: answer.statusCode, body: answer.json() };
};

const rules = { keys: [key], revokedTokenIds: [], nowMs, audience: "worker:control-plane" } as const;

test("a token counts for its worker, its scopes and its audience, for five minutes where none are named", async () => {
  const { status, body } = await ask({ worker_id: " worker-a ", scopes: ["worker:exec"] });
  expect([status, body.worker_id, body.expires_at]).toEqual([200, "worker-a", "2027-01-15T08:05:00.000Z"]);
  const wanted = { kind: "accepted", scopes: ["worker:exec"] };
  expect(verifyWorkerToken(body.token, { ...rules, workerId: "worker-a" })).toEqual(wanted);
  expect(verifyWorkerToken(body.token, { ...rules, workerId: "worker-b" }).kind).toBe("refused");
  const late = { ...rules, workerId: "worker-a", nowMs: nowMs + 300_000 };
  expect(verifyWorkerToken(body.token, late).kind).toBe("refused");
  const rpc = await ask({ worker_id: "worker-a", audience: "worker:rpc", ttl: "15m" });
  expect(verifyWorkerToken(rpc.body.token, { ...rules, audience: "worker:rpc", workerId: "worker-a" }).kind).toBe(
    "accepted",
  );
});

test("each token has an id of its own, by which it alone can be revoked", async () => {
  const [one, two] = [await ask({ worker_id: "w" }), await ask({ worker_id: "w" })];
  const revoked = { ...rules, workerId: "w", revokedTokenIds: [`id-${ids - 1}`] };
  expect(verifyWorkerToken(one.body.token, revoked)).toEqual({ kind: "refused", why: "it was revoked" });
  expect(verifyWorkerToken(two.body.token, revoked).kind).toBe("accepted");
});

test.each([
  [{}, "worker_id is required"],
  [{ worker_id: "w", ttl: "16m" }, "ttl exceeds maximum allowed worker token lifetime of 15m"],
  [{ worker_id: "w", ttl: "soon" }, "invalid ttl; use a Go duration like 5m or 15m"],
  [{ worker_id: "w", ttl: "-1s" }, "invalid ttl; use a Go duration like 5m or 15m"],
  [{ worker_id: "w", audience: "everybody" }, "audience must be worker:control-plane or worker:rpc"],
  [{ worker_id: "w", scopes: ["admin:*"] }, 'only worker:* scopes may be issued; scope "admin:*" is not permitted'],
  [{ worker_id: "w", scopes: ["worker:root"] }, expect.stringContaining('scope "worker:root" is none')],
])("%j is refused", async (asked, message) => {
  expect(await ask(asked)).toMatchObject({ status: 400, body: { message } });
});

test("only an administrator gets one, and nobody from a server without a key to sign", async () => {
  const body = { worker_id: "w" };
  expect((await ask(body, { "x-admin-api-key": apiKey })).status).toBe(403);
  expect((await ask(body, { "x-admin-api-key": "" })).status).toBe(401);
  const none = await ask(body, undefined, {});
  expect(none).toMatchObject({ status: 503, body: { reason: "worker_tokens_unavailable" } });
});
