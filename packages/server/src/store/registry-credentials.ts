import type { Selectable } from "kysely";
import type { Database } from "./database.ts";
import { requirePlace } from "./place.ts";
import type { RegistryCredentialRecord, RegistryCredentialStore } from "./registry-credential-store.ts";
import type { RegistryCredentialsTable } from "./tables.ts";

const toCredential = (row: Selectable<RegistryCredentialsTable>): RegistryCredentialRecord => ({
  id: row.id,
  tenantId: row.tenant_id,
  registry: row.registry,
  username: row.username,
  sealed: row.sealed,
  createdBy: row.created_by,
  createdAtMs: row.created_at,
});

export const registryCredentialStore = (database: Database): RegistryCredentialStore => {
  const { queries } = database;
  const of = (tenantId: string) =>
    queries.selectFrom("registry_credentials").selectAll().where("tenant_id", "=", tenantId);
  return {
    save: async ({ id, tenantId, registry, username, sealed, createdBy, createdAtMs }) => {
      const content = { id, username, sealed, created_by: createdBy, created_at: createdAtMs };
      await queries.transaction().execute(async (transaction) => {
        await requirePlace(database, transaction, { tenantId, projectId: "" });
        await transaction
          .insertInto("registry_credentials")
          .values({ tenant_id: tenantId, registry, ...content })
          .onConflict((conflict) => conflict.columns(["tenant_id", "registry"]).doUpdateSet(content))
          .execute();
      });
    },

    find: async (tenantId, registry) => {
      const row = await of(tenantId).where("registry", "=", registry).executeTakeFirst();
      return row && toCredential(row);
    },

    list: async (tenantId) => (await of(tenantId).orderBy("registry").execute()).map(toCredential),

    page: async (afterId, limit) => {
      const rows = queries.selectFrom("registry_credentials").selectAll().where("id", ">", afterId);
      return (await rows.orderBy("id").limit(limit).execute()).map(toCredential);
    },

    replaceSealed: async (id, from, to) => {
      const changed = queries.updateTable("registry_credentials").set({ sealed: to }).where("id", "=", id);
      return (await changed.where("sealed", "=", from).executeTakeFirstOrThrow()).numUpdatedRows > 0n;
    },

    delete: async (tenantId, registry) => {
      const { numDeletedRows } = await queries
        .deleteFrom("registry_credentials")
        .where("tenant_id", "=", tenantId)
        .where("registry", "=", registry)
        .executeTakeFirstOrThrow();
      return numDeletedRows > 0n;
    },
  };
};
