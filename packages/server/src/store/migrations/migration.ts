import type { Transaction } from "kysely";
import type { ColumnTypes } from "../database.ts";
import type { Tables } from "../tables.ts";

/** One step forward, run in a transaction of its own. There is no way back but a backup. */
export interface Migration {
  /** Counts up by one, from 1. */
  readonly version: number;
  readonly name: string;
  up(transaction: Transaction<Tables>, types: ColumnTypes): Promise<void>;
}
