import type { operations } from "@stacyvm/contract";
import type { ApiKeys } from "../../auth/api-keys.ts";
import type { Tenancy } from "../../auth/tenancy.ts";
import type { Egress } from "../../egress/egress.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Ids } from "../../lib/id.ts";
import type { Secret } from "../../lib/secret.ts";
import type { SpawnDefaults } from "../../orchestrator/context.ts";
import type { SpawnQueue } from "../../orchestrator/spawn-queue.ts";
import type { UseCases } from "../../orchestrator/use-cases.ts";
import type { Limits } from "../../sandbox/limits.ts";
import { parseOwnerId } from "../../sandbox/owner.ts";
import type { Store } from "../../store/store.ts";
import type { DiskSpace } from "../../telemetry/disk-space.ts";
import type { EventBus } from "../../telemetry/events.ts";
import { createHostStats } from "../../telemetry/host-stats.ts";
import type { OperationMetricsRecorder } from "../../telemetry/metrics.ts";
import type { HandlersOf } from "../handler.ts";
import { apiKeyHandlers } from "./api-keys.ts";
import { type ConfigHandlersOptions, configHandlers } from "./config.ts";
import { createDiskFigures, type DiskFiguresOptions } from "./disk-figures.ts";
import { execHandler } from "./exec.ts";
import { execSocketHandler } from "./exec-socket.ts";
import { fileLinkHandlers } from "./file-links.ts";
import { fileUploadHandlers } from "./file-uploads.ts";
import { fileWatchHandlers } from "./file-watch.ts";
import { fileHandlers } from "./files.ts";
import { folderHandlers } from "./folders.ts";
import type { RateLimitCounters, RateLimitSettings } from "./metrics.ts";
import { networkHandlers } from "./network.ts";
import { portTunnelHandler } from "./port-tunnel.ts";
import { portHandlers } from "./ports.ts";
import { processSocketHandler } from "./process-socket.ts";
import { processHandlers } from "./processes.ts";
import type { ProviderDirectory } from "./provider-health.ts";
import { createProviderHandlers } from "./providers.ts";
import { createQuotaHandlers } from "./quotas.ts";
import { type RegistryCredentialHandlersOptions, registryCredentialHandlers } from "./registry-credentials.ts";
import { sandboxHandlers } from "./sandboxes.ts";
import { type SecretHandlersOptions, secretHandlers } from "./secrets.ts";
import { type SessionHandlersOptions, sessionHandlers } from "./session.ts";
import { spawnFor } from "./spawn.ts";
import { createSystemHandlers } from "./system.ts";
import { createTelemetryHandlers } from "./telemetry.ts";
import { createTemplateHandlers } from "./templates.ts";
import { tenantHandlers } from "./tenants.ts";
import { createWorkerHandlers } from "./workers.ts";

export interface AllHandlersOptions extends ConfigHandlersOptions, Omit<SessionHandlersOptions, "storeId"> {
  readonly vault: SecretHandlersOptions["vault"];
  readonly sealCredential: RegistryCredentialHandlersOptions["sealCredential"];
  readonly useCases: UseCases;
  readonly queue: SpawnQueue;
  readonly store: Store;
  readonly directory: ProviderDirectory;
  readonly events: EventBus;
  readonly operations: OperationMetricsRecorder;
  readonly limits: Limits;
  readonly spawnDefaults: SpawnDefaults;
  readonly rateLimit: () => RateLimitSettings;
  readonly rateCounters: () => RateLimitCounters;
  readonly workerId: string;
  readonly clock: Clock;
  readonly version: string;
  readonly dataDir: string;
  readonly disks: DiskSpace;
  readonly listImages: DiskFiguresOptions["listImages"];
  readonly openApi: Readonly<Record<string, unknown>>;
  readonly authConfigured: boolean;
  readonly egress: Pick<Egress, "total">;
  readonly apiKeys: ApiKeys;
  readonly tenancy: Tenancy;
  readonly ids: Ids;
  /** Whose tokens count; empty where any may. */
  readonly issuer: string;
  readonly workerSigningKey: Secret | undefined;
  readonly newTokenId: () => string;
  readonly insecure: boolean;
  readonly previewDomain: () => string;
  /** Empty where none is configured. */
  readonly publicUrl: string;
}

/** A handler for every operation. */
export const allHandlers = (options: AllHandlersOptions): HandlersOf<typeof operations> => {
  const { useCases, queue, store, clock, limits } = options;
  const startedAtMs = clock.now();
  const diskFigures = createDiskFigures(options);
  return {
    ...sandboxHandlers(options),
    ...fileHandlers(options),
    ...fileLinkHandlers(options),
    ...fileWatchHandlers(options),
    ...folderHandlers(options),
    ...fileUploadHandlers(options),
    ...processHandlers(options),
    ...portHandlers(options),
    ...networkHandlers(options),
    "ports.tunnel": portTunnelHandler(options),
    "processes.socket": processSocketHandler(options),
    "sandboxes.exec": execHandler(options),
    "sandboxes.execWebSocket": execSocketHandler(options),
    ...createTemplateHandlers({ store, clock, spawn: spawnFor(options) }),
    ...createProviderHandlers({ ...options, diskFigures }),
    ...createQuotaHandlers({
      ...options,
      parseOwner: parseOwnerId,
      defaults: {
        get maxSandboxes() {
          return limits.maxSandboxesPerOwner;
        },
        get maxTtlMs() {
          return limits.maxTtlMs;
        },
        get maxExecTimeoutMs() {
          return limits.maxExecTimeoutMs;
        },
      },
      onCapacityChanged: useCases.capacityChanged,
    }),
    ...createWorkerHandlers(options),
    ...apiKeyHandlers(options),
    ...sessionHandlers({ ...options, storeId: store.id }),
    ...tenantHandlers(options),
    ...registryCredentialHandlers(options),
    ...secretHandlers(options),
    ...configHandlers(options),
    ...createSystemHandlers({
      ...options,
      startedAtMs,
      hostStats: createHostStats({ clock, dataDir: options.dataDir }),
    }),
    ...createTelemetryHandlers({
      ...options,
      startedAtMs,
      diskFigures,
      spawnQueue: () => {
        const { counters } = queue;
        return {
          spawn_queue_depth: counters.depth,
          max_spawn_queue: counters.capacity,
          spawn_queued_total: counters.enqueued,
          spawn_dequeued_total: counters.dequeued,
          spawn_queue_timeouts: counters.timeouts,
          spawn_queue_wait_count: counters.dequeued + counters.timeouts,
          spawn_queue_wait_total_ms: counters.waitMsTotal,
          spawn_queue_wait_max_ms: counters.waitMsMax,
        };
      },
    }),
  };
};
