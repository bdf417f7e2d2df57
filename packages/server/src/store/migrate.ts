import { StacyError } from "@stacyvm/contract";
import { sql, type Transaction } from "kysely";
import type { Database } from "./database.ts";
import type { Migration } from "./migrations/migration.ts";
import type { Tables } from "./tables.ts";

const applied = async (transaction: Transaction<Tables>, database: Database): Promise<number> => {
  const { types } = database;
  await sql`create table if not exists schema_migrations (
    version ${types.integer} not null,
    name ${types.text} not null,
    applied_at ${types.integer} not null,
    constraint schema_migrations_pk primary key (version)
  ) ${types.tableEnd}`.execute(transaction);
  const row = await transaction
    .selectFrom("schema_migrations")
    .select((build) => build.fn.max("version").as("version"))
    .executeTakeFirst();
  // The aggregate of an empty table is null, which its type does not say.
  return row?.version ?? 0;
};

/**
 * Brings the schema to the newest version; resolves to the versions it applied. Any number of servers may call it at
 * once: each step locks, looks again at what is left to do, and commits alone. Refuses a database that a newer program
 * has moved on.
 */
export const migrate = async (
  database: Database,
  migrations: readonly Migration[],
  nowMs: number,
): Promise<readonly number[]> => {
  const newest = migrations.at(-1)?.version ?? 0;
  const step = async (transaction: Transaction<Tables>): Promise<number | undefined> => {
    await database.lockInTransaction(transaction, "migrate");
    const current = await applied(transaction, database);
    if (current > newest) {
      throw new StacyError("internal", `the database has schema version ${current}, this program knows ${newest}`, {
        remediation: "Start the program of the newer version, or restore the backup made before the upgrade.",
      });
    }
    const next = migrations.find((migration) => migration.version === current + 1);
    if (next === undefined) return undefined;
    await next.up(transaction, database.types);
    await transaction
      .insertInto("schema_migrations")
      .values({ version: next.version, name: next.name, applied_at: nowMs })
      .execute();
    return next.version;
  };
  const done: number[] = [];
  for (;;) {
    const version = await database.queries.transaction().execute(step);
    if (version === undefined) return done;
    done.push(version);
  }
};
