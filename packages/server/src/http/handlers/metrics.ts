import { getHeapStatistics } from "node:v8";
import type { Metrics } from "@stacyvm/contract";
import type { Clock } from "../../lib/clock.ts";
import { formatDuration } from "../../lib/duration.ts";
import type { Store } from "../../store/store.ts";
import type { EventBus } from "../../telemetry/events.ts";
import type { OperationMetricsRecorder } from "../../telemetry/metrics.ts";
import { allHealth, type ProviderDirectory } from "./provider-health.ts";
import { workerStaleAfterMs } from "./workers.ts";

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

export interface MetricsOptions {
  readonly startedAtMs: number;
  readonly clock: Clock;
  readonly store: Store;
  readonly directory: ProviderDirectory;
  readonly events: EventBus;
  readonly operations: OperationMetricsRecorder;
  readonly spawnQueue: () => SpawnQueueCounts;
}

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
  const [by_state, by_provider, by_worker, items, workers, leases, quotas] = await Promise.all([
    store.sandboxes.countByState(),
    countByProvider(),
    store.sandboxes.countByWorker(),
    allHealth({ directory, countByProvider, signal }),
    store.workers.list(),
    store.leases.list(),
    store.quotas.list(),
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
    },
    leases: { total: leases.length, active: leases.length - expired, expired, by_holder: byHolder },
    events: events.counts(),
    operations: options.operations.snapshot(),
    scheduler: { ...options.spawnQueue() },
    quotas: {
      total: quotas.length,
      with_max_sandboxes: quotas.filter(({ maxSandboxes }) => maxSandboxes > 0).length,
      with_max_ttl: quotas.filter(({ maxTtlMs }) => maxTtlMs > 0).length,
      with_max_exec_timeout: quotas.filter(({ maxExecTimeoutMs }) => maxExecTimeoutMs > 0).length,
    },
    rate_limit: { enabled: false },
  };
};
