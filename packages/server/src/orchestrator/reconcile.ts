import type { SandboxRecord } from "../sandbox/sandbox.ts";
import { type Context, systemCaller } from "./context.ts";
import { destroyRecord } from "./destroy.ts";
import { sweep } from "./sweep.ts";

/** Attachments tried at the same time at start. */
const concurrency = 8;

/**
 * At start, before the first request: attaches to the sandboxes that outlived the last process, ends what it left half
 * made, then sweeps. Never keeps the server from starting; what can't be mended now, the next sweep tries.
 */
export async function reconcile(context: Context, signal: AbortSignal): Promise<void> {
  const rest = [...(await context.store.sandboxes.list({ workerId: context.workerId }))];
  const lane = async () => {
    for (let record = rest.shift(); record !== undefined; record = rest.shift()) {
      try {
        await settle(context, record, signal);
      } catch (error) {
        context.log.warn({ sandbox_id: record.id, err: error }, "sandbox could not be reconciled");
      }
    }
  };
  await Promise.all(Array.from({ length: concurrency }, lane));
  try {
    await sweep(context, signal);
  } catch (error) {
    context.log.warn({ err: error }, "first sweep failed");
  }
}

async function settle(context: Context, record: SandboxRecord, signal: AbortSignal): Promise<void> {
  if (!(await takeLease(context, record))) return;
  if (record.state === "creating" || record.state === "destroying") {
    await destroyRecord(context, record, systemCaller, signal);
    return;
  }
  if (record.state === "error") return;
  const runtime = await context.live.find(record, signal);
  if (runtime !== undefined) return;
  await destroyRecord(context, record, systemCaller, signal);
  context.publish({
    type: "reconcile.action",
    sandboxId: record.id,
    data: { action: "marked_destroyed", provider: record.provider, reason: "runtime gone" },
  });
}

/** False: another server that is alive holds it. */
async function takeLease(context: Context, record: SandboxRecord): Promise<boolean> {
  const lease = await context.store.leases.acquire({
    resourceId: record.id,
    resourceType: "sandbox",
    holderId: context.holderId,
    ttlMs: context.leaseTtlMs,
    nowMs: context.clock.now(),
  });
  return lease !== undefined;
}
