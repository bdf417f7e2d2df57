import { sql } from "kysely";
import { table } from "./0001-first-tables.ts";
import type { Migration } from "./migration.ts";

export const sessions: Migration = {
  version: 7,
  name: "sessions",
  up: async (transaction, types) => {
    await table(
      transaction,
      types,
      "sessions",
      [
        ["digest", "text"],
        ["person", "text"],
        ["role", "text"],
        ["key_header", "text"],
        ["key_id", "text"],
        ["tenant_id", "text"],
        ["project_id", "text"],
        ["member_issuer", "text"],
        ["member_id", "text"],
        ["owner_id", "text"],
        ["proof", "text"],
        ["created_at", "integer"],
        ["last_used_at", "integer"],
        ["expires_at", "integer"],
      ],
      "digest",
    );
    await sql`create index idx_sessions_person on sessions (person, created_at)`.execute(transaction);
    await sql`create index idx_sessions_expires on sessions (expires_at)`.execute(transaction);
    await table(
      transaction,
      types,
      "spent_logins",
      [
        ["digest", "text"],
        ["expires_at", "integer"],
      ],
      "digest",
    );
  },
};
