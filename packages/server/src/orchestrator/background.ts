import type { LiveConfig } from "../config/live.ts";
import type { Config } from "../config/schema.ts";
import { every } from "../lib/every.ts";
import type { Provider } from "../providers/provider.ts";
import { collectImages } from "./collect-images.ts";
import type { Context } from "./context.ts";
import { heartbeat } from "./heartbeat.ts";
import { purgeDestroyed } from "./purge.ts";
import { refreshSecrets, secretRefreshMs } from "./secret-refresh.ts";
import { spawnKeyLifeMs, spawnKeyPruneMs } from "./spawn-once.ts";
import type { SpawnQueue } from "./spawn-queue.ts";
import { sweep } from "./sweep.ts";

/** The least time between two comparisons of records and providers, whoever asks for them, milliseconds. */
const reconcilePauseMs = 100;
/** How often old rows are looked for, milliseconds. */
const purgeIntervalMs = 600_000;
/** How often this server says that it lives, milliseconds. */
const heartbeatIntervalMs = 30_000;

export interface BackgroundOptions {
  readonly config: Config;
  readonly liveConfig: Pick<LiveConfig, "current">;
  readonly context: Context;
  readonly queue: SpawnQueue;
  readonly providers: readonly Provider[];
  readonly reconcile: (signal: AbortSignal) => Promise<unknown>;
}

export interface Background extends AsyncDisposable {
  readonly reconcileSoon: () => void;
  readonly refreshSecretsSoon: () => void;
}

/** Starts what a server does without being asked. Disposing waits for what is under way. */
export function startBackground(options: BackgroundOptions): Background {
  const { config, liveConfig, context, queue, providers } = options;
  const { store, clock, images, log } = context;
  const stack = new AsyncDisposableStack();
  const start = (
    intervalMs: number,
    work: (signal: AbortSignal) => Promise<unknown>,
    failure: string,
    leastPauseMs = 0,
  ) => stack.use(every({ intervalMs, leastPauseMs, work, onFailure: (error) => log.error({ err: error }, failure) }));

  start(
    config.leases.renewIntervalMs,
    () => store.leases.renewAll(context.holderId, config.leases.ttlMs, clock.now()),
    "leases could not be renewed",
  );
  start(
    config.reaper.intervalMs,
    async (signal) => {
      await sweep(context, signal);
      queue.capacityChanged();
    },
    "sweep failed",
  );
  start(
    spawnKeyPruneMs,
    () => store.spawnKeys.prune(clock.now() - spawnKeyLifeMs),
    "idempotency keys could not be pruned",
  );
  const { destroyedSandboxesMs } = config.retention;
  if (destroyedSandboxesMs > 0) {
    start(
      purgeIntervalMs,
      (signal) => purgeDestroyed(store, clock.now() - destroyedSandboxesMs, signal),
      "destroyed sandboxes' rows could not be deleted",
    );
  }
  if (config.images.gc.enabled) {
    const { intervalMs, maxAgeMs, maxSizeBytes, keep } = config.images.gc;
    const collect = async (signal: AbortSignal): Promise<void> => {
      const { removed, freedBytes, storedBytes } = await collectImages({
        images,
        store,
        providers,
        rules: { maxAgeMs: maxAgeMs || undefined, maxBytes: maxSizeBytes || undefined },
        keep: [config.defaults.image, liveConfig.current.defaults.image, ...keep],
        dryRun: false,
        signal,
      });
      const references = removed.flatMap((image) => image.references);
      log.info({ references, freed_bytes: freedBytes, stored_bytes: storedBytes }, "images collected");
    };
    start(intervalMs, collect, "images could not be collected");
  }
  start(heartbeatIntervalMs, () => heartbeat(context), "heartbeat could not be written");

  const refreshing = start(
    secretRefreshMs,
    () => refreshSecrets(context),
    "changed secrets could not be told to the gateway",
  );
  const reconciling = start(
    config.reconcile.intervalMs,
    options.reconcile,
    "records and providers could not be compared",
    reconcilePauseMs,
  );
  return {
    reconcileSoon: reconciling.soon,
    refreshSecretsSoon: refreshing.soon,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
