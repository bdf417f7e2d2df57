import { withDeadline } from "../lib/deadline.ts";
import type { OwnedRuntime } from "../providers/provider.ts";
import type { SandboxRecord } from "../sandbox/sandbox.ts";
import { stateTimeoutMs } from "../sandbox/states.ts";
import type { Lease } from "../store/store.ts";
import { type Context, systemCaller } from "./context.ts";
import { destroyRecord } from "./destroy.ts";
import { announce, type Inventory, markUnhealthy, notConfigured, takeInventory, unreachable } from "./inventory.ts";
import { readRuntimeRef } from "./live-runtimes.ts";

/** Sandboxes settled at the same time at start. */
const concurrency = 8;
/** How long one sandbox may hold up the start, milliseconds. */
const settleTimeoutMs = 15_000;

/** Takes up what the last process left: each of this server's records is attached to, mended, or ended. */
export async function settleAll(context: Context, signal: AbortSignal): Promise<void> {
  const records = await context.store.sandboxes.list({ workerId: context.workerId });
  const rest = [...records];
  const inventories = new Map(
    await Promise.all(
      context.providers
        .list()
        .map(async (provider) => [provider.name, await takeInventory(context, provider, signal)] as const),
    ),
  );
  const lane = async () => {
    for (let record = rest.shift(); record !== undefined; record = rest.shift()) {
      using deadline = withDeadline(signal, settleTimeoutMs);
      try {
        await settle(context, record, inventories.get(record.provider), deadline.signal);
      } catch (error) {
        signal.throwIfAborted();
        context.log.warn({ sandbox_id: record.id, err: error }, "sandbox could not be reconciled");
      }
    }
  };
  const known = new Set(records.map((record) => record.id));
  await Promise.all(Array.from({ length: concurrency }, lane));
  await releaseForgotten(context, known);
}

/** A process that ended between the last word on a sandbox and the release of its lease would hold it for ever. */
async function releaseForgotten(context: Context, known: ReadonlySet<string>): Promise<void> {
  for (const lease of await context.store.leases.list()) {
    if (lease.holderId !== context.holderId || lease.resourceType !== "sandbox" || known.has(lease.resourceId))
      continue;
    await context.store.leases.release(lease);
  }
}

async function settle(
  context: Context,
  record: SandboxRecord,
  inventory: Inventory | undefined,
  signal: AbortSignal,
): Promise<void> {
  const lease = await takeLease(context, record);
  if (lease === undefined || record.state === "error") return;
  if (inventory === undefined || !inventory.known) {
    const { provider } = record;
    await putOff(context, record, inventory ? unreachable(provider, inventory.failure) : notConfigured(provider));
    return;
  }
  if (record.state === "creating" || record.state === "destroying") {
    // A whole runtime too: nobody was told its id, and whether it has its environment nobody knows.
    await destroyRecord(context, record, systemCaller, signal);
    return;
  }
  const owned = inventory.owned.find((runtime) => runtime.sandboxId === record.id);
  const readable = await withReadableRef(context, record, owned);
  const runtime = await context.live.find(readable, signal);
  if (runtime === undefined) {
    await destroyRecord(context, record, systemCaller, signal);
    announce(context, record, "marked_destroyed", "runtime gone");
    return;
  }
  await bringUpToDate(context, readable, lease);
}

/** Undefined: another server that is alive holds it. */
async function takeLease(context: Context, record: SandboxRecord): Promise<Lease | undefined> {
  return await context.store.leases.acquire({
    resourceId: record.id,
    resourceType: "sandbox",
    holderId: context.holderId,
    ttlMs: context.leaseTtlMs,
    nowMs: context.clock.now(),
  });
}

/** Nobody can say whether it runs. What was to end is marked so, for sweeps to end once the provider is there. */
async function putOff(context: Context, record: SandboxRecord, why: string): Promise<void> {
  await markUnhealthy(context, [record], why);
  if (record.state !== "creating") return;
  const nowMs = context.clock.now();
  await context.store.sandboxes.transition(record.id, ["creating"], {
    state: "destroying",
    stateDeadlineMs: nowMs + stateTimeoutMs.destroying,
    updatedAtMs: nowMs,
  });
}

/** A reference that can't be read is written anew from what the provider has. */
async function withReadableRef(
  context: Context,
  record: SandboxRecord,
  owned: OwnedRuntime | undefined,
): Promise<SandboxRecord> {
  if (owned?.alive !== true || readRuntimeRef(record) !== undefined) return record;
  const mended = await context.store.sandboxes.transition(record.id, [record.state], {
    runtimeRef: JSON.stringify(owned.ref),
    updatedAtMs: context.clock.now(),
  });
  if (mended === undefined) return record;
  announce(context, record, "repaired", "its runtime reference was unreadable");
  return mended;
}

/** It runs and it is ours: an older lease's generation, or that it was out of reach, is past. */
async function bringUpToDate(context: Context, record: SandboxRecord, lease: Lease): Promise<void> {
  const wasOutOfReach = record.state === "unhealthy";
  if (record.generation === lease.generation && !wasOutOfReach) return;
  await context.store.sandboxes.transition(record.id, [record.state], {
    ...(wasOutOfReach ? { state: "running", stateReason: "" } : {}),
    generation: lease.generation,
    updatedAtMs: context.clock.now(),
  });
  announce(context, record, "repaired", wasOutOfReach ? "its provider answers again" : "its lease was another's");
}
