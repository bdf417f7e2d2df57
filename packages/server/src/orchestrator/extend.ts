import { StacyError } from "@stacyvm/contract";
import { checkTtl } from "../sandbox/limits.ts";
import type { SandboxRecord } from "../sandbox/sandbox.ts";
import { ownerLimits } from "./admit.ts";
import type { Caller, Context } from "./context.ts";
import { findSandbox } from "./find.ts";
import { measured } from "./measure.ts";

/** How often a renewal that met another is tried before the caller is told. */
const attemptsMax = 5;

/** The sandbox expires that long from now, whatever was left. */
export async function extend(context: Context, id: string, ttlMs: number, caller: Caller): Promise<SandboxRecord> {
  const what = { operation: "extend" as const, action: "sandbox.extend", sandboxId: id, resource: "", caller };
  return await measured(context, what, async (facts) => {
    for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
      const record = await findSandbox(context, id, caller);
      facts.record = record;
      checkTtl(ttlMs, (await ownerLimits(context, record, record.ownerId)).maxTtlMs);
      const nowMs = context.clock.now();
      const renewed = await context.store.sandboxes.renewExpiry(id, record, nowMs + ttlMs, nowMs);
      if (renewed !== undefined) return renewed;
    }
    throw new StacyError("state_conflict", `sandbox ${id} is being changed by others`);
  });
}
