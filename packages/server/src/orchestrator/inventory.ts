import { withDeadline } from "../lib/deadline.ts";
import type { OwnedRuntime, Provider } from "../providers/provider.ts";
import type { SandboxRecord } from "../sandbox/sandbox.ts";
import { statesBefore } from "../sandbox/states.ts";
import { about } from "./about.ts";
import type { Context } from "./context.ts";

/** How long a provider may take to list what it owns, milliseconds; one that takes longer is unreachable. */
const listTimeoutMs = 10_000;

/** What a provider owns, or why it can't be asked. */
export type Inventory =
  | { readonly known: true; readonly listedAtMs: number; readonly owned: readonly OwnedRuntime[] }
  | { readonly known: false; readonly failure: unknown };

export async function takeInventory(context: Context, provider: Provider, signal: AbortSignal): Promise<Inventory> {
  using deadline = withDeadline(signal, listTimeoutMs);
  const listedAtMs = context.clock.now();
  try {
    return { known: true, listedAtMs, owned: await provider.list(deadline.signal) };
  } catch (failure) {
    signal.throwIfAborted();
    context.publish({
      type: "provider.failed",
      data: { operation: "reconcile.runtime_inventory", provider: provider.name, error: String(failure) },
    });
    return { known: false, failure };
  }
}

/** What a record names and its provider no longer has alive is an error, with what is known of the end. */
export async function markLost(
  context: Context,
  provider: Provider,
  records: readonly SandboxRecord[],
  inventory: { readonly owned: readonly OwnedRuntime[]; readonly listedAtMs: number },
  signal: AbortSignal,
): Promise<number> {
  const owned = new Map(inventory.owned.map((runtime) => [runtime.sandboxId, runtime]));
  let lost = 0;
  for (const record of records) {
    const runtime = owned.get(record.id);
    const mayBeLost = record.state !== "creating" && statesBefore("error").includes(record.state);
    if (!mayBeLost || record.updatedAtMs >= inventory.listedAtMs || runtime?.alive === true) continue;
    signal.throwIfAborted();
    const how = runtime?.endedBy === undefined || runtime.endedBy === "" ? "" : `: ${runtime.endedBy}`;
    const marked = await context.store.sandboxes.transition(record.id, statesBefore("error"), {
      state: "error",
      stateReason: `its runtime ended by itself${how}`,
      updatedAtMs: context.clock.now(),
    });
    if (marked === undefined) continue;
    lost += 1;
    await context.live.drop(record.id);
    context.log.warn({ sandbox_id: record.id, provider: provider.name, how }, "sandbox lost its runtime");
    context.publish({
      type: "sandbox.error",
      ...about(record),
      data: { operation: "reconcile.status", provider: provider.name, error: marked.stateReason },
    });
  }
  return lost;
}

/** Sandboxes whose provider can't be asked are unhealthy, not gone: their runtimes may well serve again. */
export async function markUnhealthy(context: Context, records: readonly SandboxRecord[], why: string): Promise<number> {
  let marked = 0;
  for (const record of records) {
    if (record.state !== "running") continue;
    const change = { state: "unhealthy", stateReason: why, updatedAtMs: context.clock.now() } as const;
    if ((await context.store.sandboxes.transition(record.id, ["running"], change)) === undefined) continue;
    marked += 1;
    context.log.warn({ sandbox_id: record.id, provider: record.provider, reason: why }, "sandbox is out of reach");
    announce(context, record, "marked_unhealthy", why);
  }
  return marked;
}

/** Undoes `markUnhealthy` for those that are alive after all. */
export async function markHealthy(
  context: Context,
  records: readonly SandboxRecord[],
  owned: readonly OwnedRuntime[],
): Promise<number> {
  const alive = new Set(owned.filter((runtime) => runtime.alive).map((runtime) => runtime.sandboxId));
  let marked = 0;
  for (const record of records) {
    if (record.state !== "unhealthy" || !alive.has(record.id)) continue;
    const change = { state: "running", stateReason: "", updatedAtMs: context.clock.now() } as const;
    if ((await context.store.sandboxes.transition(record.id, ["unhealthy"], change)) === undefined) continue;
    marked += 1;
    announce(context, record, "marked_running", "its provider answers again");
  }
  return marked;
}

export function announce(context: Context, record: SandboxRecord, action: string, reason: string): void {
  context.publish({
    type: "reconcile.action",
    ...about(record),
    data: { action, provider: record.provider, reason },
  });
}

/** For people: the failure's own words. */
export const unreachable = (provider: string, failure: unknown): string =>
  `its provider ${provider} can't be asked: ${failure instanceof Error ? failure.message : String(failure)}`;

export const notConfigured = (provider: string): string => `its provider ${provider} is not configured`;
