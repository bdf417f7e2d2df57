import { type OwnerQuota, type quotaOperations, StacyError } from "@stacyvm/contract";
import type { Clock } from "../../lib/clock.ts";
import { formatDuration, parseDuration } from "../../lib/duration.ts";
import { placeOf } from "../../sandbox/scope.ts";
import type { OwnerQuota as QuotaRecord, Store } from "../../store/store.ts";
import type { EventBus } from "../../telemetry/events.ts";
import type { HandlersOf } from "../handler.ts";
import type { Identity } from "../identity.ts";
import { rfc3339 } from "./wire-time.ts";

export interface QuotaHandlersOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly events: EventBus;
  /** What applies where an owner's quota says nothing; 0 is unlimited. */
  readonly defaults: {
    readonly maxSandboxes: number;
    readonly maxTtlMs: number;
    readonly maxExecTimeoutMs: number;
  };
  /** The owner rule: the trimmed id, or throws invalid_input. */
  readonly parseOwner: (text: string) => string;
  /** Called after a change that may let a waiting spawn through. */
  readonly onCapacityChanged: () => void;
}

const quotaToWire = (quota: QuotaRecord): OwnerQuota => ({
  owner_id: quota.ownerId,
  max_sandboxes: quota.maxSandboxes,
  max_ttl: formatDuration(quota.maxTtlMs),
  max_exec_timeout: formatDuration(quota.maxExecTimeoutMs),
  created_at: rfc3339(quota.createdAtMs),
  updated_at: rfc3339(quota.updatedAtMs),
});

/** Whole seconds from one on, or 0 for "the default applies". */
const wholeSeconds = (field: string, text: string | undefined): number => {
  if (text === undefined || text === "") return 0;
  const refuse = (why: string, cause?: unknown) =>
    new StacyError("invalid_input", `invalid input: parsing ${field}: ${why}`, { cause });
  let ms: number;
  try {
    ms = parseDuration(text);
  } catch (error) {
    throw refuse(error instanceof Error ? error.message : "invalid duration", error);
  }
  if (ms < 0) throw refuse("duration cannot be negative");
  if (ms > 0 && ms < 1000) throw refuse("duration must be at least 1s");
  if (ms % 1000 !== 0) throw refuse("duration must use whole seconds");
  return ms;
};

/** Owners are the tenant's: the same id in another one is somebody else. */
const tenantOf = ({ scope }: Identity): string => placeOf(scope).tenantId;

export const createQuotaHandlers = (options: QuotaHandlersOptions): HandlersOf<typeof quotaOperations> => {
  const { store, clock, events, defaults } = options;
  const parseOwner = (text: string): string => {
    const owner = options.parseOwner(text);
    if (owner === "") throw new StacyError("invalid_input", "invalid input: owner_id is required");
    return owner;
  };
  const notFound = (owner: string) => new StacyError("quota_not_found", `not found: owner_quota "${owner}"`);

  return {
    "quotas.list": async ({ identity }) => ({
      status: 200,
      body: (await store.quotas.list(tenantOf(identity))).map(quotaToWire),
    }),

    "quotas.summary": async ({ identity }) => {
      const quotas = await store.quotas.list(tenantOf(identity));
      const having = (test: (quota: QuotaRecord) => boolean): number => quotas.filter(test).length;
      return {
        status: 200,
        body: {
          total: quotas.length,
          with_max_sandboxes: having((quota) => quota.maxSandboxes > 0),
          with_max_ttl: having((quota) => quota.maxTtlMs > 0),
          with_max_exec_timeout: having((quota) => quota.maxExecTimeoutMs > 0),
        },
      };
    },

    "quotas.get": async ({ params, identity }) => {
      const ownerId = parseOwner(params.owner);
      const quota = await store.quotas.get(tenantOf(identity), ownerId);
      if (quota === undefined) throw notFound(ownerId);
      return { status: 200, body: quotaToWire(quota) };
    },

    "quotas.save": async ({ params, body, identity }) => {
      const tenantId = tenantOf(identity);
      const quota = await store.quotas.save({
        tenantId,
        ownerId: parseOwner(params.owner),
        maxSandboxes: body.max_sandboxes ?? 0,
        maxTtlMs: wholeSeconds("max_ttl", body.max_ttl),
        maxExecTimeoutMs: wholeSeconds("max_exec_timeout", body.max_exec_timeout),
        updatedAtMs: clock.now(),
      });
      const wire = quotaToWire(quota);
      const { owner_id, max_sandboxes, max_ttl, max_exec_timeout } = wire;
      events.publish({ type: "quota.saved", tenantId, data: { owner_id, max_sandboxes, max_ttl, max_exec_timeout } });
      options.onCapacityChanged();
      return { status: 200, body: wire };
    },

    "quotas.delete": async ({ params, identity }) => {
      const tenantId = tenantOf(identity);
      const ownerId = parseOwner(params.owner);
      if (!(await store.quotas.delete(tenantId, ownerId))) throw notFound(ownerId);
      events.publish({ type: "quota.deleted", tenantId, data: { owner_id: ownerId } });
      options.onCapacityChanged();
      return { status: 200, body: { status: "deleted" } };
    },

    "quotas.usage": async ({ params, identity }) => {
      const tenantId = tenantOf(identity);
      const ownerId = parseOwner(params.owner);
      const [quota, active] = await Promise.all([
        store.quotas.get(tenantId, ownerId),
        store.sandboxes.count({ ownerId, tenantId }),
      ]);
      return {
        status: 200,
        body: {
          owner_id: ownerId,
          active_sandboxes: active,
          max_sandboxes: quota?.maxSandboxes || defaults.maxSandboxes,
          max_ttl: formatDuration(quota?.maxTtlMs || defaults.maxTtlMs),
          max_exec_timeout: formatDuration(quota?.maxExecTimeoutMs || defaults.maxExecTimeoutMs),
          quota_configured: quota !== undefined,
        },
      };
    },
  };
};
