import type { systemOperations } from "@stacyvm/contract";
import type { Clock } from "../../lib/clock.ts";
import { formatDuration } from "../../lib/duration.ts";
import type { Store } from "../../store/store.ts";
import type { DiskSpace } from "../../telemetry/disk-space.ts";
import type { HostStats } from "../../telemetry/host-stats.ts";
import type { HandlersOf } from "../handler.ts";
import type { Identity } from "../identity.ts";
import { countedFor } from "./caller.ts";
import { allHealth, type ProviderDirectory } from "./provider-health.ts";

/** All providers must have said how they are by then; those that haven't are not ready. */
export const readyBudgetMs = 2_000;

export interface SystemHandlersOptions {
  readonly version: string;
  readonly startedAtMs: number;
  readonly clock: Clock;
  readonly store: Store;
  readonly directory: ProviderDirectory;
  readonly disks: DiskSpace;
  readonly hostStats: () => Promise<HostStats>;
  /** The OpenAPI document of the table that is served. */
  readonly openApi: Readonly<Record<string, unknown>>;
  /** Whether any credential is configured; then strangers are told less. */
  readonly authConfigured: boolean;
  /** Started with --insecure. */
  readonly insecure: boolean;
}

export const createSystemHandlers = (options: SystemHandlersOptions): HandlersOf<typeof systemOperations> => {
  const { clock, directory, store } = options;
  const isStranger = (identity: Identity): boolean => options.authConfigured && identity.role === "anonymous";
  const about = (identity: Identity) => ({
    uptime: formatDuration(clock.now() - options.startedAtMs),
    ...(isStranger(identity) ? {} : { version: options.version }),
  });
  const loud = options.insecure ? ({ insecure: true } as const) : {};

  return {
    "system.health": async ({ identity }) => {
      const low = (await options.disks.read()).some(({ isLow }) => isLow);
      const why = low && !isStranger(identity) ? { degraded: ["host_disk_low" as const] } : {};
      const status = low ? ("degraded" as const) : ("ok" as const);
      return { status: 200, body: { status, ...about(identity), ...loud, ...why } };
    },
    "system.live": async ({ identity }) => ({ status: 200, body: { status: "alive", ...about(identity), ...loud } }),

    "system.ready": async ({ identity, signal }) => {
      const providers = await allHealth({
        directory,
        // Readiness is about providers: a database that doesn't answer shows in every other request.
        countByProvider: () => store.sandboxes.countByProvider(countedFor(identity)).catch(() => ({})),
        signal: AbortSignal.any([signal, AbortSignal.timeout(readyBudgetMs)]),
      });
      const ready = providers.filter(({ healthy }) => healthy).length;
      const body = {
        providers: isStranger(identity) ? [] : providers,
        ready_providers: ready,
        status: ready > 0 ? ("ready" as const) : ("not_ready" as const),
        total_providers: providers.length,
        ...about(identity),
      };
      return ready > 0 ? { status: 200, body } : { status: 503, body };
    },

    "system.poolStatus": async () => ({ status: 200, body: { enabled: false } }),
    "system.snapshots": async () => ({ status: 200, body: [] }),
    "system.stats": async () => ({ status: 200, body: { ...(await options.hostStats()) } }),
    "system.openapi": async () => ({ status: 200, body: { ...options.openApi } }),
  };
};
