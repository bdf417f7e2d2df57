import { sql } from "kysely";
import type { Database } from "./database.ts";
import type { RateBucketStore } from "./store.ts";

interface Taken {
  readonly full_at: number;
  readonly seen_at: number;
  readonly allowed: boolean;
}

/** By the database's clock alone, so that servers whose clocks differ agree. */
const nowMs = sql`extract(epoch from clock_timestamp()) * 1000`;
/** Less than any server's rate; sums of fractions are not exact. */
const roundingMs = 0.001;

/**
 * Makes the buckets' table where it isn't there. Not by a migration: nothing in it is worth keeping, and, as it isn't
 * logged, a crash of the database empties it; in return a request costs no write to its log.
 */
export const prepareRateBuckets = async (database: Database): Promise<void> => {
  await database.queries.transaction().execute(async (transaction) => {
    await database.lockInTransaction(transaction, "rate buckets");
    await sql`create unlogged table if not exists rate_buckets (
      caller ${database.types.text} not null,
      full_at double precision not null,
      seen_at double precision not null,
      allowed boolean not null,
      constraint rate_buckets_pk primary key (caller)
    ) with (fillfactor = 50)`.execute(transaction);
  });
};

/** On PostgreSQL. A bucket is kept as the time at which it is full again, as in one server's memory. */
export const rateBucketStore = ({ queries }: Database): RateBucketStore => ({
  take: async (caller, { everyMs, burst }) => {
    const capacityMs = everyMs * burst;
    const nextFullAt = sql`greatest(bucket.full_at, excluded.seen_at) + ${everyMs}::double precision`;
    const emptyAt = sql`excluded.seen_at + ${capacityMs}::double precision`;
    const allows = sql`${nextFullAt} <= ${emptyAt} + ${roundingMs}::double precision`;
    const { rows } = await sql<Taken>`
      insert into rate_buckets as bucket (caller, full_at, seen_at, allowed)
      select ${caller}, now_ms + ${everyMs}::double precision, now_ms, true from (select ${nowMs} as now_ms) as clock
      on conflict (caller) do update set
        seen_at = excluded.seen_at,
        allowed = ${allows},
        full_at = case when ${allows} then ${nextFullAt} else least(bucket.full_at, ${emptyAt}) end
      returning full_at, seen_at, allowed`.execute(queries);
    const [row] = rows;
    if (row === undefined) throw new Error("a bucket was neither made nor changed");
    return { allowed: row.allowed, tokens: (capacityMs - (row.full_at - row.seen_at)) / everyMs };
  },

  prune: async () => {
    const { numAffectedRows } = await sql`delete from rate_buckets where full_at < ${nowMs}`.execute(queries);
    return Number(numAffectedRows ?? 0);
  },
});
