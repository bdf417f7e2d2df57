import type { Selectable } from "kysely";
import type { Database } from "./database.ts";
import type { Lease, LeaseStore } from "./store.ts";
import type { LeasesTable } from "./tables.ts";

/** The holder of a released lease. */
const nobody = "";

const toLease = (row: Selectable<LeasesTable>): Lease => ({
  resourceId: row.resource_id,
  resourceType: row.resource_type,
  holderId: row.holder_id,
  generation: row.generation,
  expiresAtMs: row.expires_at,
});

/**
 * Each method is one statement, so that each is atomic by itself. A lease is alive while its expiry lies in the future;
 * releasing keeps the row and ends the holding, and whoever takes it next, the same holder too, gets a new generation.
 */
export const leaseStore = ({ queries }: Database): LeaseStore => ({
  acquire: async ({ resourceId, resourceType, holderId, ttlMs, nowMs }) => {
    if (holderId === nobody) throw new TypeError("a lease needs a holder");
    const row = await queries
      .insertInto("leases")
      .values({
        resource_id: resourceId,
        resource_type: resourceType,
        holder_id: holderId,
        generation: 1,
        expires_at: nowMs + ttlMs,
        created_at: nowMs,
        updated_at: nowMs,
      })
      .onConflict((conflict) =>
        conflict
          .column("resource_id")
          .doUpdateSet((build) => ({
            resource_type: build.ref("excluded.resource_type"),
            holder_id: build.ref("excluded.holder_id"),
            expires_at: build.ref("excluded.expires_at"),
            updated_at: build.ref("excluded.updated_at"),
            generation: build
              .case()
              .when("leases.holder_id", "=", build.ref("excluded.holder_id"))
              .then(build.ref("leases.generation"))
              .else(build("leases.generation", "+", 1))
              .end(),
          }))
          .where((build) =>
            build.or([
              build("leases.holder_id", "=", build.ref("excluded.holder_id")),
              build("leases.expires_at", "<=", nowMs),
            ]),
          ),
      )
      .returningAll()
      .executeTakeFirst();
    return row && toLease(row);
  },

  renew: async (lease, ttlMs, nowMs) => {
    const row = await queries
      .updateTable("leases")
      .set({ expires_at: nowMs + ttlMs, updated_at: nowMs })
      .where("resource_id", "=", lease.resourceId)
      .where("holder_id", "=", lease.holderId)
      .where("generation", "=", lease.generation)
      .where("expires_at", ">", nowMs)
      .returningAll()
      .executeTakeFirst();
    return row && toLease(row);
  },

  renewAll: async (holderId, ttlMs, nowMs) => {
    const { numUpdatedRows } = await queries
      .updateTable("leases")
      .set({ expires_at: nowMs + ttlMs, updated_at: nowMs })
      .where("holder_id", "=", holderId)
      .where("expires_at", ">", nowMs)
      .executeTakeFirstOrThrow();
    return Number(numUpdatedRows);
  },

  release: async (lease) => {
    const { numUpdatedRows } = await queries
      .updateTable("leases")
      .set({ holder_id: nobody, expires_at: 0 })
      .where("resource_id", "=", lease.resourceId)
      .where("holder_id", "=", lease.holderId)
      .where("generation", "=", lease.generation)
      .executeTakeFirstOrThrow();
    return numUpdatedRows > 0n;
  },

  get: async (resourceId) => {
    const row = await queries
      .selectFrom("leases")
      .selectAll()
      .where("resource_id", "=", resourceId)
      .where("holder_id", "<>", nobody)
      .executeTakeFirst();
    return row && toLease(row);
  },

  list: async () => {
    const rows = await queries
      .selectFrom("leases")
      .selectAll()
      .where("holder_id", "<>", nobody)
      .orderBy("resource_id")
      .execute();
    return rows.map(toLease);
  },
});
