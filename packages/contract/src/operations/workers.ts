import { z } from "zod";
import { defineOperation, json } from "../operation.ts";
import { durationText, text, timestamp } from "../wire.ts";

const seconds = z.iso.datetime();

export const Worker = z
  .strictObject({
    id: z.string(),
    hostname: z.string(),
    status: z.string(),
    providers: z.array(z.string()),
    capabilities: z.array(z.string()),
    capacity: z.record(z.string(), z.unknown()),
    last_heartbeat: seconds,
    created_at: seconds,
    updated_at: seconds,
    stale: z.boolean(),
  })
  .meta({ id: "Worker" });
export type Worker = z.output<typeof Worker>;

export const WorkerTokenRequest = z
  .object({
    worker_id: text(128).optional(),
    ttl: durationText.optional().meta({ description: "Go duration up to 15m; 5m where absent." }),
    scopes: z
      .array(text(64))
      .max(32)
      .optional()
      .meta({ description: "What it is for; every worker scope where absent." }),
    audience: text(64).optional().meta({ description: "worker:control-plane, the default, or worker:rpc." }),
  })
  .meta({ id: "WorkerTokenRequest" });

export const WorkerToken = z
  .strictObject({ token: z.string(), worker_id: z.string(), expires_at: timestamp })
  .meta({ id: "WorkerToken" });

const row = { method: "GET", permission: "worker:read", auditClass: "read", stream: "none", lenient: true } as const;

export const workerOperations = [
  defineOperation({
    ...row,
    id: "workers.list",
    path: "/api/v1/workers",
    summary: "List workers, sorted by id",
    trailingSlash: true,
    errors: [],
    answers: { 200: json(z.array(Worker)) },
  }),
  defineOperation({
    ...row,
    id: "workers.get",
    path: "/api/v1/workers/{id}",
    summary: "Get a worker",
    auditFields: { id: "public" },
    errors: ["worker_not_found"],
    params: z.strictObject({ id: text(128).min(1) }),
    answers: { 200: json(Worker) },
  }),
  defineOperation({
    id: "workers.issueToken",
    method: "POST",
    path: "/api/v1/admin/worker-tokens",
    summary: "Sign a short-lived token for a worker",
    permission: "worker:admin",
    auditClass: "admin",
    auditFields: { worker_id: "public", ttl: "public", scopes: "public", audience: "public" },
    errors: ["worker_tokens_unavailable"],
    stream: "none",
    lenient: true,
    body: WorkerTokenRequest,
    answers: { 200: json(WorkerToken) },
  }),
] as const;
