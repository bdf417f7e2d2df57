import { sql } from "kysely";
import { table } from "./0001-first-tables.ts";
import type { Migration } from "./migration.ts";

/** Defaults are what an older program, still running, leaves out. */
export const sandboxSpecs: Migration = {
  version: 4,
  name: "sandbox-specs",
  up: async (transaction, types) => {
    for (const [column, usual] of [
      ["name", ""],
      ["labels", "{}"],
      ["env_names", "[]"],
      ["workdir", ""],
      ["run_as", ""],
      ["network_mode", "none"],
    ] as const) {
      await sql`alter table sandboxes add column ${sql.ref(column)} ${types.text} not null default ${sql.lit(usual)}`.execute(
        transaction,
      );
    }
    await sql`create table sandbox_labels (
      sandbox_id ${types.text} not null,
      name ${types.text} not null,
      value ${types.text} not null,
      constraint sandbox_labels_pk primary key (sandbox_id, name)
    ) ${types.tableEnd}`.execute(transaction);
    await table(
      transaction,
      types,
      "spawn_keys",
      [
        ["key", "text"],
        ["fingerprint", "text"],
        ["sandbox_id", "text"],
        ["holder_id", "text"],
        ["created_at", "integer"],
        ["settled_at", "integer"],
      ],
      "key",
    );
    for (const statement of [
      sql`create unique index idx_sandboxes_living_owner_name on sandboxes (tenant_id, owner_id, name)
        where state <> 'destroyed' and name <> ''`,
      sql`create index idx_sandboxes_living_name on sandboxes (name, id) where state <> 'destroyed'`,
      sql`create index idx_sandbox_labels_value on sandbox_labels (name, value, sandbox_id)`,
      sql`create index idx_spawn_keys_created on spawn_keys (created_at)`,
    ]) {
      await statement.execute(transaction);
    }
  },
};
