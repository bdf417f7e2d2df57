import { StacyError } from "@stacyvm/contract";
import type { Runtime } from "../providers/provider.ts";
import type { SandboxRecord } from "../sandbox/sandbox.ts";
import { servingStates } from "../sandbox/states.ts";
import type { Caller, Context } from "./context.ts";

/** The caller's sandbox in any state but destroyed. One outside of the caller's scope does not exist. */
export async function findSandbox(context: Context, id: string, caller: Caller): Promise<SandboxRecord> {
  const record = await context.store.sandboxes.get(id, caller.scope);
  if (record === undefined) throw new StacyError("sandbox_not_found", `sandbox not found: ${id}`);
  if (record.state === "destroyed") throw new StacyError("sandbox_destroyed", `sandbox destroyed: ${id}`);
  return record;
}

/** A sandbox that serves commands and files, with its runtime. */
export async function findServing(
  context: Context,
  id: string,
  caller: Caller,
  signal: AbortSignal,
): Promise<{ readonly record: SandboxRecord; readonly runtime: Runtime }> {
  const record = await findSandbox(context, id, caller);
  if (!servingStates.includes(record.state)) {
    const why = record.stateReason === "" ? "" : `: ${record.stateReason}`;
    throw new StacyError("state_conflict", `sandbox ${id} is ${record.state}${why}`);
  }
  const runtime = await context.live.find(record, signal);
  if (runtime === undefined) {
    throw new StacyError("guest_unreachable", `the runtime of sandbox ${id} is gone`);
  }
  return { record, runtime };
}
