import { sql } from "kysely";
import { table } from "./0001-first-tables.ts";
import type { Migration } from "./migration.ts";

export const secrets: Migration = {
  version: 10,
  name: "secrets",
  up: async (transaction, types) => {
    await table(transaction, types, "secrets", [
      ["tenant_id", "text"],
      ["project_id", "text"],
      ["name", "text"],
      ["version", "integer"],
      ["sealed", "text"],
      ["hosts", "text"],
      ["owners", "text"],
      ["created_by", "text"],
      ["created_at", "integer"],
      ["updated_at", "integer"],
      ["last_used_at", "integer"],
    ]);
    await sql`create unique index idx_secrets_place on secrets (tenant_id, project_id, name)`.execute(transaction);
  },
};
