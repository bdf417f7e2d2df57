import type { Selectable } from "kysely";
import type { Database } from "./database.ts";
import { lockTenant } from "./place.ts";
import type { TenantMembersTable } from "./tables.ts";
import type { MemberRecord, TenantStore } from "./tenant-store.ts";

const toMember = (row: Selectable<TenantMembersTable>): MemberRecord => ({
  tenantId: row.tenant_id,
  projectId: row.project_id,
  issuer: row.issuer,
  userId: row.user_id,
  role: row.role,
  createdAtMs: row.created_at,
  updatedAtMs: row.updated_at,
});

type MemberStore = Pick<TenantStore, "saveMember" | "listMembers" | "membershipsOf" | "deleteMember">;

export const memberRows = (database: Database): MemberStore => {
  const { queries } = database;
  return {
    saveMember: async ({ tenantId, projectId, issuer, userId, role, updatedAtMs }) =>
      await queries.transaction().execute(async (transaction) => {
        await lockTenant(database, transaction, tenantId);
        const tenants = transaction.selectFrom("tenants").select("id").where("id", "=", tenantId);
        if ((await tenants.where("deleting_at", "=", 0).executeTakeFirst()) === undefined) return undefined;
        if (projectId !== "") {
          const projects = transaction.selectFrom("projects").select("id").where("tenant_id", "=", tenantId);
          if ((await projects.where("id", "=", projectId).executeTakeFirst()) === undefined) return undefined;
        }
        const change = { role, updated_at: updatedAtMs };
        const row = await transaction
          .insertInto("tenant_members")
          .values({
            tenant_id: tenantId,
            project_id: projectId,
            issuer,
            user_id: userId,
            created_at: updatedAtMs,
            ...change,
          })
          .onConflict((conflict) =>
            conflict.columns(["tenant_id", "project_id", "issuer", "user_id"]).doUpdateSet(change),
          )
          .returningAll()
          .executeTakeFirstOrThrow();
        return toMember(row);
      }),

    listMembers: async (tenantId) => {
      const rows = queries.selectFrom("tenant_members").selectAll().where("tenant_id", "=", tenantId);
      const sorted = rows.orderBy("created_at").orderBy("user_id").orderBy("issuer").orderBy("project_id");
      return (await sorted.execute()).map(toMember);
    },

    membershipsOf: async ({ issuer, userId }) => {
      const rows = queries.selectFrom("tenant_members").selectAll().where("issuer", "=", issuer);
      const own = rows.where("user_id", "=", userId).orderBy("tenant_id").orderBy("project_id");
      return (await own.execute()).map(toMember);
    },

    deleteMember: async ({ tenantId, projectId, issuer, userId }, nowMs) =>
      await queries.transaction().execute(async (transaction) => {
        await lockTenant(database, transaction, tenantId);
        const { numDeletedRows } = await transaction
          .deleteFrom("tenant_members")
          .where("tenant_id", "=", tenantId)
          .where("project_id", "=", projectId)
          .where("issuer", "=", issuer)
          .where("user_id", "=", userId)
          .executeTakeFirstOrThrow();
        const left = transaction.selectFrom("tenant_members").select("role").where("tenant_id", "=", tenantId);
        const own = left.where("issuer", "=", issuer).where("user_id", "=", userId);
        if ((await own.executeTakeFirst()) === undefined) {
          await transaction
            .updateTable("api_keys")
            .set({ revoked_at: nowMs })
            .where("tenant_id", "=", tenantId)
            .where("member_issuer", "=", issuer)
            .where("member_id", "=", userId)
            .where("revoked_at", "=", 0)
            .execute();
        }
        return numDeletedRows > 0n;
      }),
  };
};
