import type { Caller, Context } from "./context.ts";
import { endAll } from "./sweep.ts";

/** Rows taken up by one call. */
const rowsPerPrune = 1_000;

/** Ends every sandbox of the caller's whose time has passed; resolves to how many. */
export async function prune(context: Context, caller: Caller, signal: AbortSignal): Promise<number> {
  const expired = await context.store.sandboxes.listExpired(context.clock.now(), rowsPerPrune, caller.scope);
  return await endAll(context, expired, signal);
}
