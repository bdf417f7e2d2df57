import { sql } from "kysely";
import type { Migration } from "./migration.ts";

export const sandboxSecrets: Migration = {
  version: 11,
  name: "sandbox-secrets",
  up: async (transaction, types) => {
    await sql`alter table sandboxes add column secrets ${types.text} not null default '[]'`.execute(transaction);
  },
};
