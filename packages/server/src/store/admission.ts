import type { Database } from "./database.ts";
import { fromSandbox } from "./sandbox-rows.ts";
import { living } from "./sandboxes.ts";
import type { Store } from "./store.ts";

/** Counts and inserts under locks by scope, always taken in the same order: all sandboxes, then the owner's. */
export const admitAndInsert =
  (database: Database): Store["admitAndInsert"] =>
  async (record, caps) =>
    await database.queries.transaction().execute(async (transaction) => {
      const count = async (ownerId?: string): Promise<number> => {
        let query = transaction
          .selectFrom("sandboxes")
          .select((build) => build.fn.countAll<number>().as("rows"))
          .where(living);
        if (ownerId !== undefined) query = query.where("owner_id", "=", ownerId);
        return (await query.executeTakeFirstOrThrow()).rows;
      };
      if (caps.maxSandboxes > 0) {
        await database.lockInTransaction(transaction, "admit");
        if ((await count()) >= caps.maxSandboxes) return "max_sandboxes";
      }
      // Callers without an owner are bound by the first cap only.
      if (caps.maxOwnerSandboxes > 0 && record.ownerId !== "") {
        await database.lockInTransaction(transaction, `admit owner ${record.ownerId}`);
        if ((await count(record.ownerId)) >= caps.maxOwnerSandboxes) return "max_sandboxes_per_owner";
      }
      await transaction.insertInto("sandboxes").values(fromSandbox(record)).execute();
      return undefined;
    });
