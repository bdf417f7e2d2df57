import type { Selectable } from "kysely";
import type { Database } from "./database.ts";
import type { OwnerQuota, QuotaStore } from "./store.ts";
import type { OwnerQuotasTable } from "./tables.ts";

const toQuota = (row: Selectable<OwnerQuotasTable>): OwnerQuota => ({
  ownerId: row.owner_id,
  maxSandboxes: row.max_sandboxes,
  maxTtlMs: row.max_ttl_ms,
  maxExecTimeoutMs: row.max_exec_timeout_ms,
  createdAtMs: row.created_at,
  updatedAtMs: row.updated_at,
});

export const quotaStore = ({ queries }: Database): QuotaStore => ({
  get: async (ownerId) => {
    const row = await queries.selectFrom("owner_quotas").selectAll().where("owner_id", "=", ownerId).executeTakeFirst();
    return row && toQuota(row);
  },

  list: async () => (await queries.selectFrom("owner_quotas").selectAll().orderBy("owner_id").execute()).map(toQuota),

  save: async (quota) => {
    const limits = {
      max_sandboxes: quota.maxSandboxes,
      max_ttl_ms: quota.maxTtlMs,
      max_exec_timeout_ms: quota.maxExecTimeoutMs,
      updated_at: quota.updatedAtMs,
    };
    const row = await queries
      .insertInto("owner_quotas")
      .values({ owner_id: quota.ownerId, created_at: quota.updatedAtMs, ...limits })
      .onConflict((conflict) => conflict.column("owner_id").doUpdateSet(limits))
      .returningAll()
      .executeTakeFirstOrThrow();
    return toQuota(row);
  },

  delete: async (ownerId) => {
    const { numDeletedRows } = await queries
      .deleteFrom("owner_quotas")
      .where("owner_id", "=", ownerId)
      .executeTakeFirstOrThrow();
    return numDeletedRows > 0n;
  },
});
