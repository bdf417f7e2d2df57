import { StacyError } from "@stacyvm/contract";
import { limitDetails } from "../sandbox/limits.ts";
import type { SandboxRecord } from "../sandbox/sandbox.ts";
import type { AdmissionRefusal } from "../store/store.ts";
import type { Context } from "./context.ts";
import type { SpawnQueue } from "./spawn-queue.ts";

interface Caps {
  readonly maxSandboxes: number;
  readonly maxOwnerSandboxes: number;
}

/** Inserts the row within the caps, in the queue where the caps are reached and waiting is configured. */
export async function insertWithinCaps(
  context: Context,
  queue: SpawnQueue,
  record: SandboxRecord,
  maxOwnerSandboxes: number,
  signal: AbortSignal,
): Promise<void> {
  const caps = { maxSandboxes: context.limits.maxSandboxes, maxOwnerSandboxes };
  const queueing = context.spawnDefaults.overflow === "queue";
  if (!(queueing && queue.busy)) {
    const refusal = await context.store.admitAndInsert(record, caps);
    if (refusal === undefined) return;
    if (!queueing || refusal.limit === "name") throw refused(refusal, record, caps);
  }
  const about = { operation: "spawn" as const, provider: record.provider, owner_id: record.ownerId };
  context.publish({ type: "spawn.queued", data: { ...about, depth: queue.counters.depth + 1 } });
  const startedAt = performance.now();
  const waited = () => ({ ...about, wait_ms: Math.round(performance.now() - startedAt) });
  try {
    await queue.wait(
      {
        owner: JSON.stringify([record.tenantId, record.ownerId]),
        attempt: async () => {
          const refusal = await context.store.admitAndInsert(record, caps);
          if (refusal === undefined) return "taken";
          if (refusal.limit === "name") throw refused(refusal, record, caps);
          return refusal.limit === "max_sandboxes" ? "full" : "owner_full";
        },
        giveBack: () => forget(context, record),
      },
      signal,
    );
  } catch (error) {
    if (error instanceof StacyError && error.reason === "spawn_queue_timeout") {
      context.publish({ type: "spawn.queue_timeout", data: { ...waited(), error: error.message } });
    }
    throw error;
  }
  context.publish({ type: "spawn.dequeued", data: waited() });
}

function refused(refusal: AdmissionRefusal, { name }: SandboxRecord, caps: Caps): StacyError {
  if (refusal.limit === "name") {
    return new StacyError("already_exists", `conflict: the name ${JSON.stringify(name)} is ${refusal.sandboxId}'s`, {
      remediation: 'Use another name, or take the sandbox that has it: if_exists "get", or --get-or-create.',
      details: { name, sandbox_id: refusal.sandboxId },
    });
  }
  const { limit, used } = refusal;
  const isOwners = limit === "max_sandboxes_per_owner";
  const value = isOwners ? caps.maxOwnerSandboxes : caps.maxSandboxes;
  return new StacyError(
    isOwners ? "owner_sandboxes_exhausted" : "sandboxes_exhausted",
    `resource limit exceeded: max sandboxes ${isOwners ? "per owner " : ""}reached (${value})`,
    { details: limitDetails({ limit, value, used, unit: "sandboxes" }) },
  );
}

/** A spawn that failed leaves a row that says so only as `destroyed`. */
export async function forget(context: Context, record: SandboxRecord): Promise<void> {
  const gone = { stateReason: "spawn failed", stateDeadlineMs: 0, updatedAtMs: context.clock.now() };
  await context.store.sandboxes.transition(record.id, ["creating", "running", "destroying"], {
    state: "destroyed",
    ...gone,
  });
}
