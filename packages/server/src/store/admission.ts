import { sql } from "kysely";
import type { Database } from "./database.ts";
import { requirePlace } from "./place.ts";
import { insertSandbox } from "./sandbox-insert.ts";
import { living } from "./sandboxes.ts";
import type { Store } from "./store.ts";

/** Looks and inserts under locks by scope, always taken in the same order: the tenant, the name, all sandboxes, the owner's. */
export const admitAndInsert =
  (database: Database): Store["admitAndInsert"] =>
  async (record, caps) =>
    await database.queries.transaction().execute(async (transaction) => {
      await requirePlace(database, transaction, record);
      const count = async (ownerId?: string): Promise<number> => {
        let query = transaction
          .selectFrom("sandboxes")
          .select((build) => build.fn.countAll<number>().as("rows"))
          .where(living);
        if (ownerId !== undefined)
          query = query.where("tenant_id", "=", record.tenantId).where("owner_id", "=", ownerId);
        return (await query.executeTakeFirstOrThrow()).rows;
      };
      if (record.name !== "") {
        const { name, ownerId, tenantId, projectId } = record;
        await database.lockInTransaction(transaction, `name ${JSON.stringify([tenantId, projectId, ownerId, name])}`);
        const named = await transaction
          .selectFrom("sandboxes")
          .select("id")
          .where("tenant_id", "=", tenantId)
          .where("project_id", "=", projectId)
          .where("owner_id", "=", ownerId)
          .where("name", "=", name)
          .where("name", "<>", sql.lit(""))
          .where(living)
          .executeTakeFirst();
        if (named !== undefined) return { limit: "name", sandboxId: named.id };
      }
      if (caps.maxSandboxes > 0) {
        await database.lockInTransaction(transaction, "admit");
        const used = await count();
        if (used >= caps.maxSandboxes) return { limit: "max_sandboxes", used };
      }
      // Callers without an owner are bound by the first cap only.
      if (caps.maxOwnerSandboxes > 0 && record.ownerId !== "") {
        await database.lockInTransaction(
          transaction,
          `admit owner ${JSON.stringify([record.tenantId, record.ownerId])}`,
        );
        const used = await count(record.ownerId);
        if (used >= caps.maxOwnerSandboxes) return { limit: "max_sandboxes_per_owner", used };
      }
      await insertSandbox(transaction, record);
      return undefined;
    });
