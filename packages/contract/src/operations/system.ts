import { z } from "zod";
import { defineOperation, json } from "../operation.ts";
import { durationAnswer, timestamp } from "../wire.ts";
import { ProviderHealth } from "./providers.ts";

/** Says that the process answers, and nothing that a stranger shouldn't know. */
const liveness = <const S extends string>(...status: readonly [S, ...S[]]) =>
  z.strictObject({
    status: z.enum(status),
    uptime: durationAnswer,
    version: z
      .string()
      .optional()
      .meta({ description: "Only for callers with a credential, where any is configured." }),
    insecure: z.literal(true).optional().meta({ description: "Present when the server was started with --insecure." }),
  });

export const Health = liveness("ok", "degraded")
  .extend({
    degraded: z
      .array(z.enum(["host_disk_low"]))
      .optional()
      .meta({ description: "What new sandboxes are refused for, with that reason; not told to strangers." }),
  })
  .meta({ id: "Health" });
export const Liveness = liveness("alive").meta({ id: "Liveness" });

export const Readiness = z
  .strictObject({
    status: z.enum(["ready", "not_ready"]),
    uptime: durationAnswer,
    version: z.string().optional(),
    providers: z
      .array(ProviderHealth)
      .meta({ description: "Empty for callers without a credential, where any is configured." }),
    ready_providers: z.int(),
    total_providers: z.int(),
  })
  .meta({ id: "Readiness" });

export const PoolStatus = z
  .strictObject({
    enabled: z.boolean(),
    vms: z.int().optional(),
    max_vms: z.int().optional(),
    total_users: z.int().optional(),
    max_users_per_vm: z.int().optional(),
  })
  .meta({ id: "PoolStatus" });

export const Snapshot = z
  .strictObject({ image: z.string(), provider: z.string(), created_at: timestamp })
  .meta({ id: "Snapshot" });

export const SystemStats = z
  .strictObject({
    cpu_pct: z.number(),
    mem_pct: z.number(),
    disk_pct: z.number(),
    net_rx_bps: z.number(),
    net_tx_bps: z.number(),
    load1: z.number(),
  })
  .meta({ id: "SystemStats" });

const read = { method: "GET", auditClass: "none", errors: [], stream: "none", lenient: true } as const;

export const systemOperations = [
  defineOperation({
    ...read,
    id: "system.health",
    path: "/api/v1/health",
    summary: "Tell that the server answers",
    permission: "public",
    answers: { 200: json(Health) },
  }),
  defineOperation({
    ...read,
    id: "system.live",
    path: "/api/v1/live",
    summary: "Tell that the process lives",
    permission: "public",
    answers: { 200: json(Liveness) },
  }),
  defineOperation({
    ...read,
    id: "system.ready",
    path: "/api/v1/ready",
    summary: "Tell whether a provider can serve",
    permission: "public",
    answers: { 200: json(Readiness), 503: json(Readiness) },
  }),
  defineOperation({
    ...read,
    id: "system.poolStatus",
    path: "/api/v1/pool/status",
    summary: "State of the pool of shared machines",
    permission: "pool:read",
    answers: { 200: json(PoolStatus) },
  }),
  defineOperation({
    ...read,
    id: "system.snapshots",
    path: "/api/v1/snapshots",
    summary: "List base snapshots",
    permission: "snapshot:read",
    trailingSlash: true,
    answers: { 200: json(z.array(Snapshot)) },
  }),
  defineOperation({
    ...read,
    id: "system.stats",
    path: "/api/v1/system/stats",
    summary: "Load of the host, sampled about once a second while somebody asks",
    permission: "system:read",
    answers: { 200: json(SystemStats) },
  }),
  defineOperation({
    ...read,
    id: "system.openapi",
    path: "/openapi.json",
    summary: "This description",
    permission: "public",
    answers: { 200: json(z.record(z.string(), z.unknown())) },
  }),
] as const;
