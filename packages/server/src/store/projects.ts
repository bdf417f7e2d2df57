import type { Selectable } from "kysely";
import type { Database } from "./database.ts";
import { lockTenant } from "./place.ts";
import type { ProjectsTable } from "./tables.ts";
import type { ProjectRecord, TenantStore } from "./tenant-store.ts";
import { isUsed, useOf } from "./tenant-use.ts";

const toProject = (row: Selectable<ProjectsTable>): ProjectRecord => ({
  tenantId: row.tenant_id,
  id: row.id,
  name: row.name,
  createdAtMs: row.created_at,
  updatedAtMs: row.updated_at,
});

type ProjectStore = Pick<TenantStore, "insertProject" | "getProject" | "listProjects" | "deleteProject">;

export const projectRows = (database: Database): ProjectStore => {
  const { queries } = database;
  const projects = (tenantId: string) => queries.selectFrom("projects").selectAll().where("tenant_id", "=", tenantId);
  return {
    insertProject: async (project) =>
      await queries.transaction().execute(async (transaction) => {
        const { tenantId, id, name, createdAtMs, updatedAtMs } = project;
        await lockTenant(database, transaction, tenantId);
        const tenants = transaction.selectFrom("tenants").select("id").where("id", "=", tenantId);
        if ((await tenants.where("deleting_at", "=", 0).executeTakeFirst()) === undefined) return undefined;
        const row = { tenant_id: tenantId, id, name, created_at: createdAtMs, updated_at: updatedAtMs };
        await transaction.insertInto("projects").values(row).execute();
        return project;
      }),

    getProject: async (tenantId, id) => {
      const row = await projects(tenantId).where("id", "=", id).executeTakeFirst();
      return row && toProject(row);
    },

    listProjects: async (tenantId) =>
      (await projects(tenantId).orderBy("created_at").orderBy("id").execute()).map(toProject),

    deleteProject: async (tenantId, id) =>
      await queries.transaction().execute(async (transaction) => {
        await lockTenant(database, transaction, tenantId);
        const found = transaction.selectFrom("projects").select("id").where("tenant_id", "=", tenantId);
        if ((await found.where("id", "=", id).executeTakeFirst()) === undefined) return "not_found";
        const use = await useOf(transaction, tenantId, id);
        if (isUsed(use)) return use;
        for (const table of ["tenant_members", "api_keys", "secrets"] as const) {
          const rows = transaction.deleteFrom(table).where("tenant_id", "=", tenantId);
          await rows.where("project_id", "=", id).execute();
        }
        await transaction.deleteFrom("projects").where("tenant_id", "=", tenantId).where("id", "=", id).execute();
        return "deleted";
      }),
  };
};
