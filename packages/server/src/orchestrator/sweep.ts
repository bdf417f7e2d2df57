import type { SandboxRecord } from "../sandbox/sandbox.ts";
import { type Context, systemCaller } from "./context.ts";
import { destroyRecord } from "./destroy.ts";

/** Rows taken up by one sweep; the next one takes the rest. */
const rowsPerSweep = 500;
/** Sandboxes ended at the same time. */
const concurrency = 4;

export interface SweepReport {
  readonly expired: number;
  readonly overdue: number;
}

/** Ends what has expired and what is stuck between two states. */
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
  return { expired, overdue };
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
