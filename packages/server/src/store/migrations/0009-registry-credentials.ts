import { sql } from "kysely";
import { table } from "./0001-first-tables.ts";
import type { Migration } from "./migration.ts";

export const registryCredentials: Migration = {
  version: 9,
  name: "registry-credentials",
  up: async (transaction, types) => {
    await table(
      transaction,
      types,
      "registry_credentials",
      [
        ["id", "text"],
        ["tenant_id", "text"],
        ["registry", "text"],
        ["username", "text"],
        ["sealed", "text"],
        ["created_by", "text"],
        ["created_at", "integer"],
      ],
      "id",
    );
    await sql`create unique index idx_registry_credentials_place on registry_credentials (tenant_id, registry)`.execute(
      transaction,
    );
  },
};
