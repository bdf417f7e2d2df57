import { createHash } from "node:crypto";
import { Kysely, PostgresDialect, sql } from "kysely";
import pg from "pg";
import type { Secret } from "../lib/secret.ts";
import type { Database, FailureKind } from "./database.ts";
import type { Tables } from "./tables.ts";

const maxConnections = 10;
/** To a connection: made anew or handed out by the pool. */
const connectTimeoutMs = 5_000;
/** One statement, its waiting for locks included. */
const statementTimeoutMs = 30_000;

/** 64-bit integers are text in the driver's default; all of ours fit a number. */
const types: pg.CustomTypesConfig = {
  getTypeParser: (id, format) =>
    id === pg.types.builtins.INT8 ? (value: string) => Number(value) : pg.types.getTypeParser(id, format),
};

/** SQLSTATE classes: connection, resources, operator's intervention, system, read-only or aborted transactions. */
const unavailableState = /^(08|53|57|58|25006|28|3D|40001|40P01|55P03|XX)/;
const unavailableText =
  /^(Connection terminated|timeout e|Client has encountered a connection error|Cannot use a pool|driver has already)/;

const classify = (error: unknown): FailureKind => {
  if (!(error instanceof Error)) return undefined;
  const code = "code" in error ? String(error.code) : "";
  if (code === "23505") return "unique";
  if (unavailableState.test(code) || /^E[A-Z]{3,}$/.test(code)) return "unavailable";
  return unavailableText.test(error.message) ? "unavailable" : undefined;
};

/** Advisory locks are numbers of 64 bits; a name becomes one. Two names with one number only wait for each other. */
const lockNumber = (name: string): bigint => createHash("sha256").update(`stacyvm ${name}`).digest().readBigInt64BE();

/** Opens on the first query; keeps up to ten connections. */
export const openPostgres = (options: { readonly dsn: Secret }): Database => {
  const pool = new pg.Pool({
    connectionString: options.dsn.reveal(),
    max: maxConnections,
    connectionTimeoutMillis: connectTimeoutMs,
    statement_timeout: statementTimeoutMs,
    application_name: "stacyvm",
    types,
  });
  // An idle connection that breaks is replaced by the pool; without a listener it would end the process.
  pool.on("error", () => {});
  return {
    dialect: "postgres",
    queries: new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) }),
    types: {
      text: sql`text collate "C"`,
      integer: sql`bigint`,
      autoId: sql`bigint generated always as identity primary key`,
      tableEnd: sql``,
    },
    lockInTransaction: async (transaction, name) => {
      await sql`select pg_advisory_xact_lock(${lockNumber(name)})`.execute(transaction);
    },
    classify,
  };
};
