import type { Kysely, RawBuilder, Transaction } from "kysely";
import type { Tables } from "./tables.ts";

/** What a driver's failure means to a caller; undefined: a defect of ours. */
export type FailureKind = "unique" | "unavailable" | undefined;

/** Column types by meaning, so that a migration reads the same on every dialect. */
export interface ColumnTypes {
  /** Compared and ordered by bytes. */
  readonly text: RawBuilder<unknown>;
  /** 64 bits in the database, a JavaScript number outside. */
  readonly integer: RawBuilder<unknown>;
  /** A primary key that the database counts up. */
  readonly autoId: RawBuilder<unknown>;
  /** Follows the column list of a create table. */
  readonly tableEnd: RawBuilder<unknown>;
}

/** An open database and what its dialect does differently. */
export interface Database {
  readonly dialect: "sqlite" | "postgres";
  readonly queries: Kysely<Tables>;
  readonly types: ColumnTypes;
  /** Waits until no other transaction, of any process, holds the name; held until the transaction's end. */
  lockInTransaction(transaction: Transaction<Tables>, name: string): Promise<void>;
  classify(error: unknown): FailureKind;
}
