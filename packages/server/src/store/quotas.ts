import type { Selectable } from "kysely";
import type { Database } from "./database.ts";
import type { OwnerQuota, QuotaStore } from "./store.ts";
import type { OwnerQuotasTable } from "./tables.ts";

const toQuota = (row: Selectable<OwnerQuotasTable>): OwnerQuota => ({
  tenantId: row.tenant_id,
  ownerId: row.owner_id,
  maxSandboxes: row.max_sandboxes,
  maxTtlMs: row.max_ttl_ms,
  maxExecTimeoutMs: row.max_exec_timeout_ms,
  createdAtMs: row.created_at,
  updatedAtMs: row.updated_at,
});

export const quotaStore = ({ queries }: Database): QuotaStore => ({
  get: async (tenantId, ownerId) => {
    const row = await queries
      .selectFrom("owner_quotas")
      .selectAll()
      .where("tenant_id", "=", tenantId)
      .where("owner_id", "=", ownerId)
      .executeTakeFirst();
    return row && toQuota(row);
  },

  list: async (tenantId) => {
    const rows = queries.selectFrom("owner_quotas").selectAll().orderBy("owner_id").orderBy("tenant_id");
    return (await (tenantId === undefined ? rows : rows.where("tenant_id", "=", tenantId)).execute()).map(toQuota);
  },

  save: async (quota) => {
    const limits = {
      max_sandboxes: quota.maxSandboxes,
      max_ttl_ms: quota.maxTtlMs,
      max_exec_timeout_ms: quota.maxExecTimeoutMs,
      updated_at: quota.updatedAtMs,
    };
    const row = await queries
      .insertInto("owner_quotas")
      .values({ tenant_id: quota.tenantId, owner_id: quota.ownerId, created_at: quota.updatedAtMs, ...limits })
      .onConflict((conflict) => conflict.columns(["tenant_id", "owner_id"]).doUpdateSet(limits))
      .returningAll()
      .executeTakeFirstOrThrow();
    return toQuota(row);
  },

  delete: async (tenantId, ownerId) => {
    const { numDeletedRows } = await queries
      .deleteFrom("owner_quotas")
      .where("tenant_id", "=", tenantId)
      .where("owner_id", "=", ownerId)
      .executeTakeFirstOrThrow();
    return numDeletedRows > 0n;
  },
});
