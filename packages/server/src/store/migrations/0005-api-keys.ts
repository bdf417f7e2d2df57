import { sql } from "kysely";
import { table } from "./0001-first-tables.ts";
import type { Migration } from "./migration.ts";

export const apiKeys: Migration = {
  version: 5,
  name: "api-keys",
  up: async (transaction, types) => {
    await table(
      transaction,
      types,
      "api_keys",
      [
        ["id", "text"],
        ["name", "text"],
        ["prefix", "text"],
        ["digest", "text"],
        ["role", "text"],
        ["tenant_id", "text"],
        ["created_by", "text"],
        ["created_at", "integer"],
        ["expires_at", "integer"],
        ["last_used_at", "integer"],
        ["revoked_at", "integer"],
      ],
      "id",
    );
    await sql`create unique index idx_api_keys_digest on api_keys (digest)`.execute(transaction);
    await sql`create index idx_api_keys_created on api_keys (created_at, id)`.execute(transaction);
  },
};
