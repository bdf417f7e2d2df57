import { StacyError } from "@stacyvm/contract";
import { effectiveLimits } from "../sandbox/limits.ts";
import { type Place, placeOf } from "../sandbox/scope.ts";
import { livingStates } from "../sandbox/states.ts";
import type { Caller, Context } from "./context.ts";

export type DenialReason = "max_ttl" | "max_sandboxes" | "max_sandboxes_per_owner" | "host_disk_low";

/** What a spawn writes to, whether or not its image has to be pulled. */
export const spawnDisks = ["data", "sandboxes"] as const;

/** What would happen to a spawn now. A decision, not a reservation. */
export interface Admission {
  readonly allowed: boolean;
  readonly queueable: boolean;
  readonly reason: DenialReason | undefined;
  readonly activeSandboxes: number;
  readonly maxSandboxes: number;
  readonly activeOwnerSandboxes: number;
  readonly maxOwnerSandboxes: number;
  readonly maxTtlMs: number;
}

export async function ownerLimits(context: Context, { tenantId }: Pick<Place, "tenantId">, ownerId: string) {
  const quota = ownerId === "" ? undefined : await context.store.quotas.get(tenantId, ownerId);
  const limits = effectiveLimits(context.limits, quota);
  return { ...limits, maxOwnerSandboxes: ownerId === "" ? 0 : limits.maxOwnerSandboxes };
}

/** Throws provider_not_found for a provider that isn't configured. */
export async function admit(
  context: Context,
  request: { readonly ownerId: string; readonly ttlMs: number; readonly provider: string },
  { scope }: Caller,
): Promise<Admission> {
  requireProvider(context, request.provider);
  const { tenantId } = placeOf(scope);
  const limits = await ownerLimits(context, { tenantId }, request.ownerId);
  const { maxSandboxes } = context.limits;
  const none = { activeSandboxes: 0, activeOwnerSandboxes: 0, maxSandboxes, ...limits };
  if (limits.maxTtlMs > 0 && request.ttlMs > limits.maxTtlMs) {
    return { ...none, allowed: false, queueable: false, reason: "max_ttl" };
  }
  const activeAnywhere = await context.store.sandboxes.count({ states: livingStates });
  // What others have decides, and is not told.
  const activeSandboxes =
    scope.tenantId === undefined
      ? activeAnywhere
      : await context.store.sandboxes.count({ ...scope, states: livingStates });
  const activeOwnerSandboxes =
    request.ownerId === ""
      ? 0
      : await context.store.sandboxes.count({ states: livingStates, tenantId, ownerId: request.ownerId });
  const reason: DenialReason | undefined =
    maxSandboxes > 0 && activeAnywhere >= maxSandboxes
      ? "max_sandboxes"
      : limits.maxOwnerSandboxes > 0 && activeOwnerSandboxes >= limits.maxOwnerSandboxes
        ? "max_sandboxes_per_owner"
        : undefined;
  const isFull = (await context.disks.read()).some(
    ({ isLow, use }) => isLow && spawnDisks.some((each) => each === use),
  );
  if (isFull)
    return {
      ...none,
      activeSandboxes,
      activeOwnerSandboxes,
      allowed: false,
      queueable: false,
      reason: "host_disk_low",
    };
  return {
    ...none,
    activeSandboxes,
    activeOwnerSandboxes,
    allowed: reason === undefined,
    queueable: reason !== undefined && context.spawnDefaults.overflow === "queue",
    reason,
  };
}

/** Throws provider_not_found, or provider_unavailable where none is named and none can be the default. */
export function requireProvider(context: Context, name: string) {
  if (name === "" && context.providers.defaultName === "") {
    throw new StacyError("provider_unavailable", "no provider can be the default on this host", {
      remediation:
        "Name a provider. /providers says why none was chosen and what the host lacks; the server chooses anew when it starts.",
    });
  }
  const provider = context.providers.get(name === "" ? context.providers.defaultName : name);
  if (provider === undefined) {
    throw new StacyError("provider_not_found", `getting provider: provider not found: ${name}`, {
      remediation: `Name one of: ${context.providers
        .list()
        .map((each) => each.name)
        .join(", ")}`,
    });
  }
  return provider;
}
