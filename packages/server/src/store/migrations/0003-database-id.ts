import { randomIds } from "../../lib/id.ts";
import { table } from "./0001-first-tables.ts";
import type { Migration } from "./migration.ts";

export const databaseId: Migration = {
  version: 3,
  name: "database-id",
  up: async (transaction, types) => {
    await table(transaction, types, "database_id", [["id", "text"]], "id");
    await transaction.insertInto("database_id").values({ id: randomIds.database() }).execute();
  },
};
