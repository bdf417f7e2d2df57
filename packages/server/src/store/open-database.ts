import type { Config } from "../config/schema.ts";
import type { Secret } from "../lib/secret.ts";
import type { Database } from "./database.ts";
import { openPostgres } from "./postgres.ts";
import { openSqlite } from "./sqlite.ts";

/** Where the database is. */
export type DatabaseLocation =
  | { readonly driver: "sqlite"; readonly path: string }
  | { readonly driver: "postgres"; readonly dsn: Secret };

/** Where the configuration says it is. */
export const databaseLocation = ({ driver, dsn, path }: Config["database"]): DatabaseLocation =>
  driver === "postgres" && dsn !== undefined ? { driver, dsn } : { driver: "sqlite", path };

/** Connects on the first query. */
export const openDatabase = (location: DatabaseLocation): Database =>
  location.driver === "sqlite" ? openSqlite(location) : openPostgres(location);
