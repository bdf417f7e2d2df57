import { hostname } from "node:os";
import { formatDuration } from "../lib/duration.ts";
import type { Context } from "./context.ts";

/** Writes this server's own worker record: that it lives, what it offers, and its limits. */
export async function heartbeat(context: Context): Promise<void> {
  const { limits } = context;
  const nowMs = context.clock.now();
  await context.store.workers.upsert({
    id: context.workerId,
    hostname: hostname(),
    status: "online",
    providers: context.providers.list().map((provider) => provider.name),
    capabilities: ["api", "single_node", "spawn", "exec", "files"],
    capacity: {
      default_exec_timeout: formatDuration(limits.defaultExecTimeoutMs),
      max_exec_timeout: formatDuration(limits.maxExecTimeoutMs),
      max_sandboxes: limits.maxSandboxes,
      max_sandboxes_per_owner: limits.maxSandboxesPerOwner,
      max_spawn_queue: context.spawnDefaults.maxQueue,
      spawn_queue_timeout: formatDuration(context.spawnDefaults.queueTimeoutMs),
      max_ttl: formatDuration(limits.maxTtlMs),
      spawn_overflow: context.spawnDefaults.overflow,
    },
    lastHeartbeatMs: nowMs,
    updatedAtMs: nowMs,
  });
}
