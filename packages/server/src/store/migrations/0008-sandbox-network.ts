import { sql } from "kysely";
import type { Migration } from "./migration.ts";

export const sandboxNetwork: Migration = {
  version: 8,
  name: "sandbox-network",
  up: async (transaction, types) => {
    await sql`alter table sandboxes add column network ${types.text} not null default ''`.execute(transaction);
  },
};
