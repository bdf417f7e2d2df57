import { getHeapStatistics } from "node:v8";
import type { DiskFigures, Metrics } from "@stacyvm/contract";
import type { Egress } from "../../egress/egress.ts";
import type { Clock } from "../../lib/clock.ts";
import { formatDuration } from "../../lib/duration.ts";
import type { SpawnDefaults } from "../../orchestrator/context.ts";
import type { Store } from "../../store/store.ts";
import type { EventBus } from "../../telemetry/events.ts";
import type { OperationMetricsRecorder } from "../../telemetry/metrics.ts";
import { allHealth, type ProviderDirectory } from "./provider-health.ts";
import { workerStaleAfterMs, workerToWire } from "./workers.ts";

/** What waits for capacity; all zero while nothing may wait. */
export interface SpawnQueueCounts {
  readonly spawn_queue_depth: number;
  readonly max_spawn_queue: number;
  readonly spawn_queued_total: number;
  readonly spawn_dequeued_total: number;
  readonly spawn_queue_timeouts: number;
  readonly spawn_queue_wait_count: number;
  readonly spawn_queue_wait_total_ms: number;
  readonly spawn_queue_wait_max_ms: number;
}

/** As they count now. */
export interface RateLimitSettings {
  readonly enabled: boolean;
  readonly requestsPerMinute: number;
  readonly burst: number;
  readonly keyBy: string;
  readonly bucketTtlMs: number;
  readonly cleanupIntervalMs: number;
}

export interface RateLimitCounters {
  readonly callers: number;
  readonly allowed: number;
  readonly refused: number;
  readonly forgotten: number;
}

const rateLimit = (settings: RateLimitSettings, counters: RateLimitCounters) => ({
  enabled: settings.enabled && settings.requestsPerMinute > 0,
  requests_per_minute: settings.requestsPerMinute,
  burst: settings.burst,
  key_by: settings.keyBy,
  active_buckets: counters.callers,
  allowed_total: counters.allowed,
  limited_total: counters.refused,
  evicted_total: counters.forgotten,
  bucket_ttl: formatDuration(settings.bucketTtlMs),
  cleanup_interval: formatDuration(settings.cleanupIntervalMs),
});

const scheduler = ({ spawnQueue, spawnDefaults, workerId }: MetricsOptions) => {
  const counts = spawnQueue();
  const averageMs =
    counts.spawn_queue_wait_count === 0 ? 0 : counts.spawn_queue_wait_total_ms / counts.spawn_queue_wait_count;
  return {
    ...counts,
    spawn_overflow: spawnDefaults.overflow,
    spawn_queue_timeout: formatDuration(spawnDefaults.queueTimeoutMs),
    admission_control: "worker_aware_local",
    worker_id: workerId,
    selected_worker_id: workerId,
    eligible_workers: 1,
    spawn_queue_wait_total: formatDuration(counts.spawn_queue_wait_total_ms),
    spawn_queue_wait_max: formatDuration(counts.spawn_queue_wait_max_ms),
    spawn_queue_wait_avg: formatDuration(averageMs),
    spawn_queue_wait_avg_ms: averageMs,
  };
};

export interface MetricsOptions {
  readonly startedAtMs: number;
  readonly clock: Clock;
  readonly store: Store;
  readonly directory: ProviderDirectory;
  readonly events: EventBus;
  readonly operations: OperationMetricsRecorder;
  readonly spawnQueue: () => SpawnQueueCounts;
  readonly spawnDefaults: SpawnDefaults;
  readonly rateLimit: () => RateLimitSettings;
  readonly rateCounters: () => RateLimitCounters;
  readonly workerId: string;
  readonly diskFigures: () => Promise<DiskFigures>;
  readonly egress: Pick<Egress, "total">;
}

const nothingLeft = { open: 0, allowed: 0, denied: 0, failed: 0, sent: 0, received: 0 };

const sum = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((total, count) => total + count, 0);

const processMetrics = () => {
  const { rss, heapUsed } = process.memoryUsage();
  return {
    gc_cycles: 0,
    goroutines: process.getActiveResourcesInfo().length,
    memory_alloc: heapUsed,
    memory_heap_alloc: getHeapStatistics().used_heap_size,
    memory_sys: rss,
  };
};

/** Everything that /metrics says, read now. */
export const collectMetrics = async (options: MetricsOptions, signal: AbortSignal): Promise<Metrics> => {
  const { store, clock, directory, events } = options;
  const now = clock.now();
  const countByProvider = () => store.sandboxes.countByProvider();
  const [by_state, by_provider, by_worker, items, workers, leases, quotas, disk, egress] = await Promise.all([
    store.sandboxes.countByState(),
    countByProvider(),
    store.sandboxes.countByWorker(),
    allHealth({ directory, countByProvider, signal }),
    store.workers.list(),
    store.leases.list(),
    store.quotas.list(),
    options.diskFigures(),
    options.egress.total(signal),
  ]);
  const total = sum(by_state);
  const isStale = (heartbeatMs: number): boolean => now - heartbeatMs > workerStaleAfterMs;
  const expired = leases.filter(({ expiresAtMs }) => expiresAtMs <= now).length;
  const byHolder: Record<string, number> = {};
  for (const { holderId } of leases) byHolder[holderId] = (byHolder[holderId] ?? 0) + 1;
  return {
    ...processMetrics(),
    uptime: formatDuration(now - options.startedAtMs),
    sandboxes: {
      total,
      active: total - (by_state.destroyed ?? 0),
      by_state: { ...by_state },
      by_provider: { ...by_provider },
      by_worker: { ...by_worker },
    },
    providers: { total: items.length, healthy: items.filter(({ healthy }) => healthy).length, items },
    workers: {
      total: workers.length,
      online: workers.filter(({ status, lastHeartbeatMs }) => status === "online" && !isStale(lastHeartbeatMs)).length,
      stale: workers.filter(({ lastHeartbeatMs }) => isStale(lastHeartbeatMs)).length,
      unhealthy: workers.filter(({ status }) => status === "unhealthy").length,
      items: workers.map((worker) => workerToWire(worker, now)),
    },
    leases: { total: leases.length, active: leases.length - expired, expired, by_holder: byHolder },
    events: events.counts(),
    operations: options.operations.snapshot(),
    scheduler: scheduler(options),
    quotas: {
      total: quotas.length,
      with_max_sandboxes: quotas.filter(({ maxSandboxes }) => maxSandboxes > 0).length,
      with_max_ttl: quotas.filter(({ maxTtlMs }) => maxTtlMs > 0).length,
      with_max_exec_timeout: quotas.filter(({ maxExecTimeoutMs }) => maxExecTimeoutMs > 0).length,
    },
    rate_limit: rateLimit(options.rateLimit(), options.rateCounters()),
    disk,
    network: { gateway_up: egress !== undefined, ...(egress ?? nothingLeft) },
  };
};
