import { z } from "zod";
import { defineOperation, json } from "../operation.ts";
import { durationAnswer, timestamp } from "../wire.ts";
import { DiskFigures, ProviderHealth } from "./providers.ts";
import { QuotaSummary } from "./quotas.ts";
import { Worker } from "./workers.ts";

export const Event = z
  .strictObject({
    id: z.string(),
    type: z.string(),
    sandbox_id: z.string().optional(),
    timestamp,
    data: z.record(z.string(), z.unknown()).optional(),
  })
  .meta({ id: "ServerEvent" });
export type Event = z.output<typeof Event>;

export const OperationMetrics = z
  .strictObject({
    operation: z.string(),
    provider: z.string(),
    success_total: z.int(),
    failure_total: z.int(),
    latency_count: z.int(),
    latency_total_ms: z.number(),
    latency_min_ms: z.number(),
    latency_max_ms: z.number(),
    latency_avg_ms: z.number(),
    last_error: z.string().optional(),
    last_observed_unix: z.int().optional(),
  })
  .meta({ id: "OperationMetrics" });
export type OperationMetrics = z.output<typeof OperationMetrics>;

const counts = z.record(z.string(), z.int());

export const Metrics = z
  .strictObject({
    uptime: durationAnswer,
    goroutines: z.int().meta({ description: "Kept for old clients: active resources of the event loop." }),
    memory_alloc: z.int(),
    memory_sys: z.int(),
    memory_heap_alloc: z.int(),
    gc_cycles: z.int(),
    sandboxes: z.strictObject({
      total: z.int(),
      active: z.int(),
      by_state: counts,
      by_provider: counts,
      by_worker: counts,
    }),
    providers: z.strictObject({ total: z.int(), healthy: z.int(), items: z.array(ProviderHealth) }),
    workers: z.strictObject({
      total: z.int(),
      online: z.int(),
      stale: z.int(),
      unhealthy: z.int(),
      items: z.array(Worker),
    }),
    leases: z.strictObject({ total: z.int(), active: z.int(), expired: z.int(), by_holder: counts }),
    events: z.strictObject({ subscribers: z.int(), history_size: z.int(), events_total: z.int() }),
    operations: z.array(OperationMetrics),
    scheduler: z.record(z.string(), z.unknown()),
    quotas: QuotaSummary,
    rate_limit: z.strictObject({
      enabled: z.boolean(),
      requests_per_minute: z.int(),
      burst: z.int(),
      key_by: z.string(),
      active_buckets: z.int(),
      allowed_total: z.int(),
      limited_total: z.int(),
      evicted_total: z.int(),
      bucket_ttl: durationAnswer,
      cleanup_interval: durationAnswer,
    }),
    disk: DiskFigures,
    network: z
      .strictObject({
        gateway_up: z.boolean(),
        open: z.int(),
        allowed: z.int(),
        denied: z.int(),
        failed: z.int(),
        sent: z.int().meta({ description: "Bytes out of sandboxes." }),
        received: z.int(),
      })
      .meta({ description: "Outbound connections of all sandboxes since the gateway started." }),
  })
  .meta({ id: "Metrics" });
export type Metrics = z.output<typeof Metrics>;

const row = { method: "GET", auditClass: "none", errors: [], lenient: true } as const;

export const telemetryOperations = [
  defineOperation({
    ...row,
    id: "events.stream",
    path: "/api/v1/events",
    summary: "Follow events as server-sent events",
    permission: "event:read",
    stream: "sse",
    answers: { 200: { "text/event-stream": Event } },
  }),
  defineOperation({
    ...row,
    id: "metrics.json",
    path: "/api/v1/metrics",
    summary: "Metrics as JSON",
    permission: "metrics:read",
    stream: "none",
    answers: { 200: json(Metrics) },
  }),
  defineOperation({
    ...row,
    id: "metrics.prometheus",
    path: "/api/v1/metrics/prometheus",
    summary: "Metrics in Prometheus' text format",
    permission: "metrics:read",
    stream: "none",
    answers: { 200: { "text/plain; version=0.0.4; charset=utf-8": "text" } },
  }),
] as const;
