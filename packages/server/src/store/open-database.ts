import type { Secret } from "../lib/secret.ts";
import type { Database } from "./database.ts";
import { openPostgres } from "./postgres.ts";
import { openSqlite } from "./sqlite.ts";

/** Where the database is. */
export type DatabaseLocation =
  | { readonly driver: "sqlite"; readonly path: string }
  | { readonly driver: "postgres"; readonly dsn: Secret };

/** Connects on the first query. */
export const openDatabase = (location: DatabaseLocation): Database =>
  location.driver === "sqlite" ? openSqlite(location) : openPostgres(location);
