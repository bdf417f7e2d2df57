import { sql } from "kysely";
import type { Database } from "./database.ts";
import type { FailureCountStore } from "./store.ts";

/** By the database's clock alone, so that servers whose clocks differ agree. */
const nowMs = sql`extract(epoch from clock_timestamp()) * 1000`;

/** Makes the counts' table where it isn't there; not logged and not migrated, as the rates' is. */
export const prepareFailureCounts = async (database: Database): Promise<void> => {
  await database.queries.transaction().execute(async (transaction) => {
    await database.lockInTransaction(transaction, "failure counts");
    await sql`create unlogged table if not exists failure_counts (
      address ${database.types.text} not null,
      failures bigint not null,
      last_at double precision not null,
      constraint failure_counts_pk primary key (address)
    ) with (fillfactor = 50)`.execute(transaction);
  });
};

/** On PostgreSQL. */
export const failureCountStore = ({ queries }: Database): FailureCountStore => ({
  add: async (failures, forgetAfterMs) => {
    if (failures.size === 0) return new Map();
    // In one order, so that two servers don't wait for each other's rows in a circle.
    const added = [...failures].toSorted(([a], [b]) => (a < b ? -1 : 1));
    const values = sql.join(added.map(([address, count]) => sql`(${address}, ${count}::bigint)`));
    const { rows } = await sql<{ readonly address: string; readonly failures: number }>`
      insert into failure_counts as counted (address, failures, last_at)
      select address, failures, ${nowMs} from (values ${values}) as added (address, failures)
      on conflict (address) do update set
        failures = excluded.failures + case
          when excluded.last_at - counted.last_at < ${forgetAfterMs}::double precision then counted.failures else 0 end,
        last_at = excluded.last_at
      returning address, failures`.execute(queries);
    return new Map(rows.map(({ address, failures: count }) => [address, Number(count)]));
  },

  prune: async (forgetAfterMs) => {
    const old = sql`last_at < ${nowMs} - ${forgetAfterMs}::double precision`;
    const { numAffectedRows } = await sql`delete from failure_counts where ${old}`.execute(queries);
    return Number(numAffectedRows ?? 0);
  },
});
