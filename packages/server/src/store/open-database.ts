import type { Database } from "./database.ts";
import { openSqlite } from "./sqlite.ts";

/** Where the database is. */
export type DatabaseLocation = { readonly driver: "sqlite"; readonly path: string };

/** Connects on the first query. */
export const openDatabase = (location: DatabaseLocation): Database => openSqlite(location);
