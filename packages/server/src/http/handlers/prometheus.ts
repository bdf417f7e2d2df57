import type { Metrics } from "@stacyvm/contract";
import { Counter, Gauge, Registry } from "prom-client";
import type { SpawnQueueCounts } from "./metrics.ts";

type Labels = Readonly<Record<string, string>>;
type Series = readonly (readonly [Labels, number])[];

const byLabel = (label: string, counts: Readonly<Record<string, number>>): Series =>
  Object.entries(counts).map(([value, count]) => [{ [label]: value }, count]);

const alone = (value: number): Series => [[{}, value]];

/** Adds one metric; what only ever grows is a counter. */
const add = (register: Registry, type: "counter" | "gauge", name: string, help: string, series: Series): void => {
  const labelNames = [...new Set(series.flatMap(([labels]) => Object.keys(labels)))];
  const metric =
    type === "counter"
      ? new Counter({ name, help, labelNames, registers: [register] })
      : new Gauge({ name, help, labelNames, registers: [register] });
  for (const [labels, value] of series) metric.inc(labels, value);
};

/** Prometheus' text of a snapshot. */
export const prometheusText = (metrics: Metrics, queue: SpawnQueueCounts, uptimeMs: number): Promise<string> => {
  const register = new Registry();
  const gauge = (name: string, help: string, series: Series) => add(register, "gauge", `stacyvm_${name}`, help, series);
  const counter = (name: string, help: string, series: Series) =>
    add(register, "counter", `stacyvm_${name}`, help, series);

  gauge("uptime_seconds", "Seconds since the server started.", alone(Math.trunc(uptimeMs / 1000)));
  gauge("runtime_goroutines", "Active resources of the event loop.", alone(metrics.goroutines));
  gauge("runtime_memory_alloc_bytes", "Heap in use.", alone(metrics.memory_alloc));
  gauge("runtime_memory_sys_bytes", "Resident memory.", alone(metrics.memory_sys));
  counter("runtime_gc_cycles_total", "Garbage collections.", alone(metrics.gc_cycles));
  gauge("sandboxes_total", "Sandboxes by state.", byLabel("state", metrics.sandboxes.by_state));
  gauge("sandboxes_by_provider_total", "Sandboxes by provider.", byLabel("provider", metrics.sandboxes.by_provider));
  gauge("sandboxes_by_worker_total", "Sandboxes by worker.", byLabel("worker", metrics.sandboxes.by_worker));

  const ofDisks = (value: (disk: Metrics["disk"]["disks"][number]) => number): Series =>
    metrics.disk.disks.map((disk) => [{ use: disk.use }, value(disk)]);
  gauge(
    "disk_total_bytes",
    "Size of the disk below each of the server's directories.",
    ofDisks((disk) => disk.total_bytes),
  );
  gauge(
    "disk_free_bytes",
    "What is free of it.",
    ofDisks((disk) => disk.free_bytes),
  );
  gauge(
    "disk_floor_bytes",
    "Below this spawns and pulls are refused.",
    ofDisks((disk) => disk.floor_bytes),
  );
  gauge("images_bytes", "What all stored images take.", alone(metrics.disk.images_bytes));

  const { gateway_up, open, allowed, denied, failed, sent, received } = metrics.network;
  gauge("network_gateway_up", "1 while the egress gateway runs.", alone(gateway_up ? 1 : 0));
  gauge("network_connections_open", "Outbound connections of sandboxes.", alone(open));
  counter(
    "network_decisions_total",
    "Outbound connections and refused names, by decision, since the gateway started.",
    byLabel("decision", { allowed, denied, failed }),
  );
  counter("network_bytes_total", "Bytes of those connections.", byLabel("direction", { sent, received }));

  const { items } = metrics.providers;
  const ofProviders = (value: (item: (typeof items)[number]) => number): Series =>
    items.map((item) => [{ provider: item.name }, value(item)]);
  gauge(
    "provider_healthy",
    "1 when the provider can serve.",
    items.map((item) => [{ provider: item.name, default: String(item.default) }, item.healthy ? 1 : 0]),
  );
  gauge(
    "provider_health_latency_milliseconds",
    "Time of the last check.",
    ofProviders((item) => item.latency_ms),
  );
  gauge(
    "provider_runtime_sandboxes",
    "Sandboxes of the provider.",
    ofProviders((item) => item.runtime_count ?? 0),
  );

  const { items: _, ...workerCounts } = metrics.workers;
  gauge("workers_total", "Workers by status.", byLabel("status", workerCounts));
  const { total, active, expired } = metrics.leases;
  gauge("leases_total", "Leases by status.", byLabel("status", { total, active, expired }));
  counter("events_total", "Events published.", alone(metrics.events.events_total));
  gauge("event_subscribers", "Readers of the event stream.", alone(metrics.events.subscribers));
  gauge("event_history_size", "Events kept.", alone(metrics.events.history_size));

  gauge("spawn_queue_depth", "Spawns that wait.", alone(queue.spawn_queue_depth));
  gauge("spawn_queue_capacity", "Spawns that may wait.", alone(queue.max_spawn_queue));
  counter("spawn_queue_enqueued_total", "Spawns that had to wait.", alone(queue.spawn_queued_total));
  counter("spawn_queue_dequeued_total", "Spawns that were let through.", alone(queue.spawn_dequeued_total));
  counter("spawn_queue_timeout_total", "Spawns that waited in vain.", alone(queue.spawn_queue_timeouts));
  counter("spawn_queue_wait_milliseconds_sum", "Time waited.", alone(queue.spawn_queue_wait_total_ms));
  counter("spawn_queue_wait_milliseconds_count", "Waits that ended.", alone(queue.spawn_queue_wait_count));
  gauge("spawn_queue_wait_milliseconds_max", "Longest wait.", alone(queue.spawn_queue_wait_max_ms));

  gauge("owner_quotas_total", "Owners with a quota.", alone(metrics.quotas.total));
  const overrides = {
    max_sandboxes: metrics.quotas.with_max_sandboxes,
    max_ttl: metrics.quotas.with_max_ttl,
    max_exec_timeout: metrics.quotas.with_max_exec_timeout,
  };
  gauge("owner_quota_overrides_total", "Quotas by what they set.", byLabel("type", overrides));
  counter(
    "rate_limit_allowed_total",
    "Requests let through by the rate limit.",
    alone(metrics.rate_limit.allowed_total),
  );
  counter("rate_limit_blocked_total", "Requests refused by the rate limit.", alone(metrics.rate_limit.limited_total));
  counter("rate_limit_evicted_buckets_total", "Buckets forgotten.", alone(metrics.rate_limit.evicted_total));
  gauge("rate_limit_active_buckets", "Buckets in use.", alone(metrics.rate_limit.active_buckets));

  const ofOperations = (value: (item: Metrics["operations"][number]) => number): Series =>
    metrics.operations.map((item) => [{ operation: item.operation, provider: item.provider }, value(item)]);
  counter(
    "operation_success_total",
    "Operations that succeeded.",
    ofOperations((item) => item.success_total),
  );
  counter(
    "operation_failure_total",
    "Operations that failed.",
    ofOperations((item) => item.failure_total),
  );
  const time = "operation_latency_milliseconds";
  counter(
    `${time}_sum`,
    "Time of all operations.",
    ofOperations((item) => item.latency_total_ms),
  );
  counter(
    `${time}_count`,
    "Operations timed.",
    ofOperations((item) => item.latency_count),
  );
  gauge(
    `${time}_max`,
    "Longest operation.",
    ofOperations((item) => item.latency_max_ms),
  );
  return register.metrics();
};
