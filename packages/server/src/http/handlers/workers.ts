import { StacyError, type Worker, type workerOperations } from "@stacyvm/contract";
import {
  signWorkerToken,
  type WorkerAudience,
  type WorkerScope,
  workerAudiences,
  workerScopes,
  workerTokenTtlMaxMs,
} from "../../auth/worker-token.ts";
import type { Clock } from "../../lib/clock.ts";
import { parseDuration } from "../../lib/duration.ts";
import type { Secret } from "../../lib/secret.ts";
import type { Store, WorkerRecord } from "../../store/store.ts";
import type { HandlersOf } from "../handler.ts";
import { rfc3339, rfc3339Seconds } from "./wire-time.ts";

/** A worker whose last heartbeat is older is stale. */
export const workerStaleAfterMs = 120_000;

/** The public object of a worker. */
export const workerToWire = (worker: WorkerRecord, nowMs: number): Worker => ({
  id: worker.id,
  hostname: worker.hostname,
  status: worker.status,
  providers: [...worker.providers],
  capabilities: [...worker.capabilities],
  capacity: { ...worker.capacity },
  last_heartbeat: rfc3339Seconds(worker.lastHeartbeatMs),
  created_at: rfc3339Seconds(worker.createdAtMs),
  updated_at: rfc3339Seconds(worker.updatedAtMs),
  stale: nowMs - worker.lastHeartbeatMs > workerStaleAfterMs,
});

export interface WorkerHandlersOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** Signs workers' tokens; absent where none is configured. */
  readonly workerSigningKey: Secret | undefined;
  readonly newTokenId: () => string;
}

/** Life of a token that names none, milliseconds. */
const tokenTtlMs = 300_000;

const refuse = (why: string) => new StacyError("invalid_input", why);

const ttlOf = (text: string | undefined): number => {
  if (text === undefined || text === "") return tokenTtlMs;
  let ttlMs: number;
  try {
    ttlMs = parseDuration(text);
  } catch {
    throw refuse("invalid ttl; use a Go duration like 5m or 15m");
  }
  if (ttlMs <= 0) throw refuse("invalid ttl; use a Go duration like 5m or 15m");
  if (ttlMs > workerTokenTtlMaxMs) throw refuse("ttl exceeds maximum allowed worker token lifetime of 15m");
  return ttlMs;
};

const audienceOf = (text: string | undefined): WorkerAudience => {
  const audience = workerAudiences.find((one) => one === (text || workerAudiences[0]));
  if (audience === undefined) throw refuse(`audience must be ${workerAudiences.join(" or ")}`);
  return audience;
};

const scopesOf = (named: readonly string[] | undefined): readonly WorkerScope[] => {
  const isScope = (text: string): text is WorkerScope => workerScopes.some((one) => one === text);
  return (named ?? []).map((scope) => {
    if (isScope(scope)) return scope;
    const why = scope.startsWith("worker:") ? `scope "${scope}" is none; there are ${workerScopes.join(", ")}` : "";
    throw refuse(why || `only worker:* scopes may be issued; scope ${JSON.stringify(scope)} is not permitted`);
  });
};

export const createWorkerHandlers = ({
  store,
  clock,
  workerSigningKey,
  newTokenId,
}: WorkerHandlersOptions): HandlersOf<typeof workerOperations> => ({
  "workers.issueToken": async ({ body }) => {
    if (workerSigningKey === undefined) {
      throw new StacyError("worker_tokens_unavailable", "set auth.worker_signing_key to issue worker tokens");
    }
    const workerId = (body.worker_id ?? "").trim();
    if (workerId === "") throw refuse("worker_id is required");
    const issuedAtMs = clock.now();
    const expiresAtMs = issuedAtMs + ttlOf(body.ttl);
    const token = signWorkerToken(
      {
        workerId,
        tokenId: newTokenId(),
        audience: audienceOf(body.audience),
        scopes: scopesOf(body.scopes),
        issuedAtMs,
        expiresAtMs,
      },
      workerSigningKey,
    );
    return { status: 200, body: { token, worker_id: workerId, expires_at: rfc3339(expiresAtMs) } };
  },
  "workers.list": async () => {
    const now = clock.now();
    return { status: 200, body: (await store.workers.list()).map((worker) => workerToWire(worker, now)) };
  },
  "workers.get": async ({ params: { id } }) => {
    const worker = await store.workers.get(id);
    if (worker === undefined) throw new StacyError("worker_not_found", `not found: worker "${id}"`);
    return { status: 200, body: workerToWire(worker, clock.now()) };
  },
});
