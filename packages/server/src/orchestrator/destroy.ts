import { StacyError } from "@stacyvm/contract";
import type { SandboxRecord } from "../sandbox/sandbox.ts";
import { placeOf } from "../sandbox/scope.ts";
import { statesBefore, stateTimeoutMs } from "../sandbox/states.ts";
import { about } from "./about.ts";
import type { Caller, Context } from "./context.ts";
import { measured } from "./measure.ts";

/** One that is gone, or that there is not for the caller, is success to whom old clients speak for, and 404 in a tenant. */
export async function destroy(context: Context, id: string, caller: Caller, signal: AbortSignal): Promise<void> {
  const record = await context.store.sandboxes.get(id, caller.scope);
  const isOfTenant = placeOf(caller.scope).tenantId !== "";
  if (record === undefined) {
    if (!isOfTenant) return;
    throw new StacyError("sandbox_not_found", `sandbox not found: ${id}`);
  }
  if (record.state === "destroyed") {
    if (!isOfTenant) return;
    throw new StacyError("sandbox_destroyed", `sandbox destroyed: ${id}`);
  }
  await destroyRecord(context, record, caller, signal);
}

/**
 * Ends a sandbox in whatever state it is. Where the provider fails the record stays `destroying` and a sweep tries
 * again: nothing is forgotten while something may still run.
 */
export async function destroyRecord(
  context: Context,
  record: SandboxRecord,
  caller: Caller,
  signal: AbortSignal,
): Promise<void> {
  const what = {
    operation: "destroy" as const,
    action: "sandbox.destroy",
    sandboxId: record.id,
    resource: record.image,
    caller,
  };
  await measured(context, what, async (facts) => {
    facts.record = record;
    const { store, clock, holderId, leaseTtlMs: ttlMs } = context;
    const nowMs = clock.now();
    const lease = await store.leases.acquire({
      resourceId: record.id,
      resourceType: "sandbox",
      holderId,
      ttlMs,
      nowMs,
    });
    if (lease === undefined) throw new StacyError("lease_lost", `another server holds sandbox ${record.id}`);
    context.failpoint("destroy:leased");
    const marked = await store.sandboxes.transition(record.id, [...statesBefore("destroying"), "destroying"], {
      state: "destroying",
      generation: lease.generation,
      stateDeadlineMs: nowMs + stateTimeoutMs.destroying,
      updatedAtMs: nowMs,
    });
    if (marked === undefined) {
      // Destroyed by somebody else since the record was read.
      await store.leases.release(lease);
      return;
    }
    context.failpoint("destroy:marked");
    await end(context, record, signal);
    context.failpoint("destroy:ended");
    await store.sandboxes.transition(record.id, ["destroying"], {
      state: "destroyed",
      stateDeadlineMs: 0,
      updatedAtMs: clock.now(),
    });
    context.failpoint("destroy:recorded");
    await store.leases.release(lease);
    context.publish({ type: "sandbox.destroyed", ...about(record) });
  });
}

async function end(context: Context, record: SandboxRecord, signal: AbortSignal): Promise<void> {
  const runtime = context.live.peek(record.id);
  if (runtime !== undefined) {
    await runtime.destroy(signal);
    await context.live.drop(record.id);
    return;
  }
  const provider = context.providers.get(record.provider);
  if (provider === undefined) {
    throw new StacyError("provider_unavailable", `provider unavailable: ${record.provider}`);
  }
  await provider.reap(record.id, signal);
}
