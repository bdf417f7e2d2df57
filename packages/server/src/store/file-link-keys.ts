import type { Database } from "./database.ts";
import type { FileLinkKeyStore } from "./store.ts";

export const fileLinkKeyStore = ({ queries }: Database): FileLinkKeyStore => {
  const get = async (sandboxId: string): Promise<string | undefined> =>
    (await queries.selectFrom("file_link_keys").select("key").where("sandbox_id", "=", sandboxId).executeTakeFirst())
      ?.key;

  return {
    get,

    ensure: async (sandboxId, fresh, nowMs) => {
      const row = await queries
        .insertInto("file_link_keys")
        .values({ sandbox_id: sandboxId, key: fresh, created_at: nowMs })
        // The update changes nothing; it makes the row that was first come back.
        .onConflict((conflict) =>
          conflict.column("sandbox_id").doUpdateSet((build) => ({ sandbox_id: build.ref("excluded.sandbox_id") })),
        )
        .returning("key")
        .executeTakeFirstOrThrow();
      return row.key;
    },

    delete: async (sandboxId) => {
      const { numDeletedRows } = await queries
        .deleteFrom("file_link_keys")
        .where("sandbox_id", "=", sandboxId)
        .executeTakeFirstOrThrow();
      return numDeletedRows > 0n;
    },
  };
};
