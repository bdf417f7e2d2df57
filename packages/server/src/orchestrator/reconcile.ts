import type { OwnedRuntime, Provider } from "../providers/provider.ts";
import type { Context } from "./context.ts";
import { markHealthy, markLost, markUnhealthy, notConfigured, takeInventory, unreachable } from "./inventory.ts";
import { settleAll } from "./settle.ts";
import { sweep } from "./sweep.ts";

/** Failed lists in a row after which a provider counts as unreachable: one may have met its program's restart. */
const failuresMax = 2;

export interface ReconcileReport {
  readonly orphans: number;
  readonly lost: number;
  readonly unhealthy: number;
  readonly recovered: number;
}

/** Makes the records and what the providers own agree. */
export interface Reconciler {
  /**
   * At start, before the first request: attaches to the sandboxes that outlived the last process, mends or ends what it
   * left, then sweeps and does a round. Never throws; what can't be mended now, a later round tries.
   */
  start(signal: AbortSignal): Promise<void>;
  /**
   * What a provider owns and no living record names is removed; what a record names and no provider has is an error;
   * what can't be asked after is unhealthy until it can.
   */
  round(signal: AbortSignal): Promise<ReconcileReport>;
}

export function createReconciler(context: Context): Reconciler {
  const { store, providers, log, workerId } = context;
  const failures = new Map<string, number>();
  /** Orphans that could not be removed, so that each is complained of once. */
  const stuck = new Set<string>();

  const removeOrphan = async (provider: Provider, sandboxId: string, signal: AbortSignal): Promise<boolean> => {
    const fields = { sandbox_id: sandboxId, provider: provider.name };
    try {
      await provider.reap(sandboxId, signal);
      stuck.delete(sandboxId);
    } catch (error) {
      signal.throwIfAborted();
      if (!stuck.has(sandboxId)) log.error({ ...fields, err: error }, "runtime without a record can't be removed");
      stuck.add(sandboxId);
      return false;
    }
    log.warn(fields, "runtime without a record removed");
    context.publish({
      type: "reconcile.action",
      sandboxId,
      data: { action: "removed_orphan", provider: provider.name },
    });
    return true;
  };

  /** The list was taken before the rows are read, and a row is written before a runtime is made: no row, no owner. */
  const removeOrphans = async (
    provider: Provider,
    owned: readonly OwnedRuntime[],
    known: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<number> => {
    let removed = 0;
    for (const { sandboxId } of owned) {
      if (known.has(sandboxId)) continue;
      const record = await store.sandboxes.get(sandboxId);
      if (record !== undefined && record.state !== "destroyed") continue;
      if (await removeOrphan(provider, sandboxId, signal)) removed += 1;
    }
    return removed;
  };

  const ofProvider = async (provider: Provider, signal: AbortSignal): Promise<ReconcileReport> => {
    const { name } = provider;
    const inventory = await takeInventory(context, provider, signal);
    const records = await store.sandboxes.list({ provider: name, workerId });
    const report = { orphans: 0, lost: 0, unhealthy: 0, recovered: 0 };
    if (!inventory.known) {
      const count = (failures.get(name) ?? 0) + 1;
      failures.set(name, count);
      if (count === failuresMax) log.error({ provider: name, err: inventory.failure }, "provider can't be asked");
      if (count < failuresMax) return report;
      const unhealthy = await markUnhealthy(context, records, unreachable(name, inventory.failure));
      return { ...report, unhealthy };
    }
    if ((failures.get(name) ?? 0) >= failuresMax) log.info({ provider: name }, "provider answers again");
    failures.delete(name);
    const lost = await markLost(context, provider, records, inventory, signal);
    const recovered = await markHealthy(context, records, inventory.owned);
    const known = new Set(records.map((record) => record.id));
    return { ...report, lost, recovered, orphans: await removeOrphans(provider, inventory.owned, known, signal) };
  };

  /** Rows of a provider that was switched off stay, and wait for it. */
  const ofNoProvider = async (): Promise<number> => {
    let unhealthy = 0;
    for (const name of Object.keys(await store.sandboxes.countByProvider())) {
      if (providers.get(name) !== undefined) continue;
      const records = await store.sandboxes.list({ provider: name, workerId, states: ["running"] });
      unhealthy += await markUnhealthy(context, records, notConfigured(name));
    }
    return unhealthy;
  };

  const round = async (signal: AbortSignal): Promise<ReconcileReport> => {
    const reports = await Promise.all(providers.list().map((provider) => ofProvider(provider, signal)));
    const sum = (of: keyof ReconcileReport) => reports.reduce((total, report) => total + report[of], 0);
    const unhealthy = sum("unhealthy") + (await ofNoProvider());
    return { orphans: sum("orphans"), lost: sum("lost"), recovered: sum("recovered"), unhealthy };
  };

  return {
    async start(signal) {
      for (const [name, step] of Object.entries({ settle: settleAll, sweep, round: () => round(signal) })) {
        try {
          await step(context, signal);
        } catch (error) {
          log.error({ step: name, err: error }, "reconciliation at start is not complete");
        }
      }
    },
    round,
  };
}
