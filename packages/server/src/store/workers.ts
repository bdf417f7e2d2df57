import type { Selectable } from "kysely";
import type { Database } from "./database.ts";
import { openMapColumn, stringListColumn } from "./json-column.ts";
import type { WorkerRecord, WorkerStore } from "./store.ts";
import type { WorkersTable } from "./tables.ts";

const providers = stringListColumn("workers.providers");
const capabilities = stringListColumn("workers.capabilities");
const capacity = openMapColumn("workers.capacity");

const toWorker = (row: Selectable<WorkersTable>): WorkerRecord => ({
  id: row.id,
  hostname: row.hostname,
  status: row.status,
  providers: providers.read(row.providers),
  capabilities: capabilities.read(row.capabilities),
  capacity: capacity.read(row.capacity),
  lastHeartbeatMs: row.last_heartbeat,
  createdAtMs: row.created_at,
  updatedAtMs: row.updated_at,
});

export const workerStore = ({ queries }: Database): WorkerStore => ({
  upsert: async (worker) => {
    const columns = {
      hostname: worker.hostname,
      status: worker.status,
      providers: providers.write(worker.providers),
      capabilities: capabilities.write(worker.capabilities),
      capacity: capacity.write(worker.capacity),
      last_heartbeat: worker.lastHeartbeatMs,
      updated_at: worker.updatedAtMs,
    };
    const row = await queries
      .insertInto("workers")
      .values({ id: worker.id, created_at: worker.updatedAtMs, ...columns })
      .onConflict((conflict) => conflict.column("id").doUpdateSet(columns))
      .returningAll()
      .executeTakeFirstOrThrow();
    return toWorker(row);
  },

  get: async (id) => {
    const row = await queries.selectFrom("workers").selectAll().where("id", "=", id).executeTakeFirst();
    return row && toWorker(row);
  },

  list: async () => (await queries.selectFrom("workers").selectAll().orderBy("id").execute()).map(toWorker),

  delete: async (id) => {
    const { numDeletedRows } = await queries.deleteFrom("workers").where("id", "=", id).executeTakeFirstOrThrow();
    return numDeletedRows > 0n;
  },
});
