import { StacyError } from "@stacyvm/contract";
import { formatDuration } from "../lib/duration.ts";

/** Server-wide defaults; 0 means unlimited. */
export interface Limits {
  readonly defaultTtlMs: number;
  readonly maxTtlMs: number;
  readonly defaultExecTimeoutMs: number;
  readonly maxExecTimeoutMs: number;
  readonly maxSandboxes: number;
  readonly maxSandboxesPerOwner: number;
}

/** What an owner may set over the defaults; 0 inherits. */
export interface OwnerLimits {
  readonly maxSandboxes: number;
  readonly maxTtlMs: number;
  readonly maxExecTimeoutMs: number;
}

export interface EffectiveLimits {
  readonly maxTtlMs: number;
  readonly maxExecTimeoutMs: number;
  readonly maxOwnerSandboxes: number;
}

/** An owner's own value replaces the default where it is above zero. Nothing but the default applies to nobody. */
export function effectiveLimits(limits: Limits, quota: OwnerLimits | undefined): EffectiveLimits {
  const pick = (own: number | undefined, general: number) => (own !== undefined && own > 0 ? own : general);
  return {
    maxTtlMs: pick(quota?.maxTtlMs, limits.maxTtlMs),
    maxExecTimeoutMs: pick(quota?.maxExecTimeoutMs, limits.maxExecTimeoutMs),
    maxOwnerSandboxes: pick(quota?.maxSandboxes, limits.maxSandboxesPerOwner),
  };
}

/** Which limit refused something, as callers are told in `details`: its value, and what was in use or asked for. */
export function limitDetails(details: {
  readonly limit:
    | "max_sandboxes"
    | "max_sandboxes_per_owner"
    | "max_spawn_queue"
    | "spawn_queue_timeout"
    | "max_ttl"
    | "max_exec_timeout";
  readonly value: number;
  readonly used: number;
  readonly unit: "sandboxes" | "spawns" | "ms";
}): Readonly<Record<string, unknown>> {
  return details;
}

/** Throws ttl_above_max. */
export function checkTtl(ttlMs: number, maxTtlMs: number): void {
  if (maxTtlMs > 0 && ttlMs > maxTtlMs) {
    throw new StacyError("ttl_above_max", `resource limit exceeded: ttl exceeds max ttl ${formatDuration(maxTtlMs)}`, {
      details: limitDetails({ limit: "max_ttl", value: maxTtlMs, used: ttlMs, unit: "ms" }),
    });
  }
}

/**
 * The deadline of an exec, milliseconds: what was asked for, else the default, else the maximum; 0 where nothing
 * bounds it. Throws timeout_above_max.
 */
export function execTimeoutMs(asked: number | undefined, defaultMs: number, maxMs: number): number {
  if (asked !== undefined && asked < 0) {
    throw new StacyError("timeout_above_max", "resource limit exceeded: exec timeout cannot be negative", {
      details: limitDetails({ limit: "max_exec_timeout", value: maxMs, used: asked, unit: "ms" }),
    });
  }
  const wanted = asked || defaultMs;
  if (wanted === 0) return maxMs;
  if (maxMs > 0 && wanted > maxMs) {
    const told = `exec timeout ${formatDuration(wanted)} exceeds max exec timeout ${formatDuration(maxMs)}`;
    throw new StacyError("timeout_above_max", `resource limit exceeded: ${told}`, {
      details: limitDetails({ limit: "max_exec_timeout", value: maxMs, used: wanted, unit: "ms" }),
    });
  }
  return wanted;
}
