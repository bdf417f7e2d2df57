import { z } from "zod";
import { defineOperation, json } from "../operation.ts";
import { text } from "../wire.ts";

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
] as const;
