import type { OwnedRuntime, Provider } from "../providers/provider.ts";
import type { SandboxRecord } from "../sandbox/sandbox.ts";
import { statesBefore } from "../sandbox/states.ts";
import { type Context, systemCaller } from "./context.ts";
import { destroyRecord } from "./destroy.ts";

/** Rows taken up by one sweep; the next one takes the rest. */
const rowsPerSweep = 500;
/** Sandboxes ended at the same time. */
const concurrency = 4;

export interface SweepReport {
  readonly expired: number;
  readonly overdue: number;
  readonly orphans: number;
  readonly lost: number;
}

/**
 * One round of making the host and the database agree: what has expired ends, what is stuck between two states ends,
 * what a provider owns and no living record names is removed, what a record names and no provider has is an error.
 */
export async function sweep(context: Context, signal: AbortSignal): Promise<SweepReport> {
  const expired = await endAll(
    context,
    await context.store.sandboxes.listExpired(context.clock.now(), rowsPerSweep),
    signal,
  );
  const overdue = await endAll(
    context,
    await context.store.sandboxes.listOverdue(context.clock.now(), rowsPerSweep),
    signal,
  );
  let orphans = 0;
  let lost = 0;
  for (const provider of context.providers.list()) {
    try {
      const startedAtMs = context.clock.now();
      const owned = await provider.list(signal);
      orphans += await removeOrphans(context, provider, owned, signal);
      lost += await markLost(context, provider, owned, startedAtMs, signal);
    } catch (error) {
      signal.throwIfAborted();
      context.log.warn({ provider: provider.name, err: error }, "provider could not be swept");
      context.publish({
        type: "provider.failed",
        data: { operation: "reconcile.runtime_inventory", provider: provider.name, error: String(error) },
      });
    }
  }
  return { expired, overdue, orphans, lost };
}

/** Ends the sandboxes of expired ones; those that can't be ended now stay `destroying` and come again. */
export async function endAll(
  context: Context,
  records: readonly SandboxRecord[],
  signal: AbortSignal,
): Promise<number> {
  let ended = 0;
  const rest = [...records];
  const lane = async () => {
    for (let record = rest.shift(); record !== undefined; record = rest.shift()) {
      signal.throwIfAborted();
      try {
        await destroyRecord(context, record, systemCaller, signal);
        ended += 1;
      } catch (error) {
        signal.throwIfAborted();
        context.log.warn({ sandbox_id: record.id, err: error }, "sandbox could not be ended");
      }
    }
  };
  await Promise.all(Array.from({ length: concurrency }, lane));
  return ended;
}

/** The list was taken before the rows are read, and a row is written before a runtime is made: no row, no owner. */
async function removeOrphans(
  context: Context,
  provider: Provider,
  owned: readonly OwnedRuntime[],
  signal: AbortSignal,
): Promise<number> {
  let removed = 0;
  for (const runtime of owned) {
    const record = await context.store.sandboxes.get(runtime.sandboxId);
    if (record !== undefined && record.state !== "destroyed") continue;
    await provider.reap(runtime.sandboxId, signal);
    removed += 1;
    context.log.warn({ sandbox_id: runtime.sandboxId, provider: provider.name }, "runtime without a record removed");
    context.publish({
      type: "reconcile.action",
      sandboxId: runtime.sandboxId,
      data: { action: "removed_orphan", provider: provider.name },
    });
  }
  return removed;
}

async function markLost(
  context: Context,
  provider: Provider,
  owned: readonly OwnedRuntime[],
  listedAtMs: number,
  signal: AbortSignal,
): Promise<number> {
  const alive = new Set(owned.filter((runtime) => runtime.alive).map((runtime) => runtime.sandboxId));
  const records = await context.store.sandboxes.list({
    states: statesBefore("error"),
    provider: provider.name,
    workerId: context.workerId,
  });
  let lost = 0;
  for (const record of records) {
    if (record.state === "creating" || record.updatedAtMs >= listedAtMs || alive.has(record.id)) continue;
    signal.throwIfAborted();
    const marked = await context.store.sandboxes.transition(record.id, statesBefore("error"), {
      state: "error",
      stateReason: "its runtime ended by itself",
      updatedAtMs: context.clock.now(),
    });
    if (marked === undefined) continue;
    lost += 1;
    await context.live.drop(record.id);
    context.log.warn({ sandbox_id: record.id, provider: provider.name }, "sandbox lost its runtime");
    context.publish({
      type: "sandbox.error",
      sandboxId: record.id,
      tenantId: record.tenantId,
      data: { operation: "reconcile.status", provider: provider.name, error: marked.stateReason },
    });
  }
  return lost;
}
