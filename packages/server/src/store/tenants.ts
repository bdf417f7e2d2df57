import type { Selectable } from "kysely";
import type { Database } from "./database.ts";
import { guarded } from "./failures.ts";
import { lockTenant } from "./place.ts";
import { projectRows } from "./projects.ts";
import type { TenantsTable } from "./tables.ts";
import { memberRows } from "./tenant-members.ts";
import type { TenantRecord, TenantStore } from "./tenant-store.ts";
import { isUsed, useOf } from "./tenant-use.ts";

const toTenant = (row: Selectable<TenantsTable>): TenantRecord => ({
  id: row.id,
  name: row.name,
  ownerId: row.owner_id,
  settings: row.settings,
  createdAtMs: row.created_at,
  updatedAtMs: row.updated_at,
  deletingAtMs: row.deleting_at,
});

export const tenantStore = (database: Database): TenantStore => {
  const { queries } = database;
  return {
    ...guarded(projectRows(database), database, "project"),
    ...memberRows(database),

    insert: async ({ id, name, ownerId, settings, createdAtMs, updatedAtMs }) => {
      const times = { created_at: createdAtMs, updated_at: updatedAtMs };
      const row = { id, name, owner_id: ownerId, settings, ...times, deleting_at: 0 };
      await queries.insertInto("tenants").values(row).execute();
    },

    get: async (id) => {
      const row = await queries.selectFrom("tenants").selectAll().where("id", "=", id).executeTakeFirst();
      return row && toTenant(row);
    },

    list: async () => {
      const rows = queries.selectFrom("tenants").selectAll().orderBy("created_at", "desc").orderBy("id", "desc");
      return (await rows.execute()).map(toTenant);
    },

    update: async (id, { name, ownerId, settings }, nowMs) => {
      const row = await queries
        .updateTable("tenants")
        .set({
          updated_at: nowMs,
          ...(name === undefined ? {} : { name }),
          ...(ownerId === undefined ? {} : { owner_id: ownerId }),
          ...(settings === undefined ? {} : { settings }),
        })
        .where("id", "=", id)
        .returningAll()
        .executeTakeFirst();
      return row && toTenant(row);
    },

    markDeleting: async (id, nowMs) =>
      await queries.transaction().execute(async (transaction) => {
        await lockTenant(database, transaction, id);
        const row = await transaction.selectFrom("tenants").select("id").where("id", "=", id).executeTakeFirst();
        const standing = transaction.updateTable("tenants").set({ deleting_at: nowMs }).where("deleting_at", "=", 0);
        await standing.where("id", "=", id).execute();
        return row !== undefined;
      }),

    delete: async (id) =>
      await queries.transaction().execute(async (transaction) => {
        await lockTenant(database, transaction, id);
        const row = await transaction.selectFrom("tenants").select("id").where("id", "=", id).executeTakeFirst();
        if (row === undefined) return "not_found";
        const use = await useOf(transaction, id);
        if (isUsed(use)) return use;
        for (const table of [
          "projects",
          "tenant_members",
          "owner_quotas",
          "api_keys",
          "registry_credentials",
          "secrets",
        ] as const) {
          await transaction.deleteFrom(table).where("tenant_id", "=", id).execute();
        }
        await transaction.deleteFrom("tenants").where("id", "=", id).execute();
        return "deleted";
      }),

    emptyRows: async (id, nowMs) => {
      await queries.transaction().execute(async (transaction) => {
        await lockTenant(database, transaction, id);
        await transaction.deleteFrom("templates").where("tenant_id", "=", id).execute();
        const keys = transaction.updateTable("api_keys").set({ revoked_at: nowMs }).where("tenant_id", "=", id);
        await keys.where("revoked_at", "=", 0).execute();
      });
    },

    any: async () => (await queries.selectFrom("tenants").select("id").limit(1).executeTakeFirst()) !== undefined,
  };
};
