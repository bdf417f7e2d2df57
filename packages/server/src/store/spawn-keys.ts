import type { Selectable } from "kysely";
import type { Database } from "./database.ts";
import type { SpawnKey, SpawnKeyStore } from "./store.ts";
import type { SpawnKeysTable } from "./tables.ts";

const toSpawnKey = (row: Selectable<SpawnKeysTable>): SpawnKey => ({
  key: row.key,
  fingerprint: row.fingerprint,
  sandboxId: row.sandbox_id,
  holderId: row.holder_id,
  createdAtMs: row.created_at,
  settledAtMs: row.settled_at,
});

export const spawnKeyStore = ({ queries }: Database): SpawnKeyStore => ({
  claim: async ({ key, fingerprint, sandboxId, holderId, createdAtMs }) => {
    // Who waits asks again and again, and must not write each time.
    const found = await queries.selectFrom("spawn_keys").selectAll().where("key", "=", key).executeTakeFirst();
    if (found !== undefined) return toSpawnKey(found);
    const row = await queries
      .insertInto("spawn_keys")
      .values({
        key,
        fingerprint,
        sandbox_id: sandboxId,
        holder_id: holderId,
        created_at: createdAtMs,
        settled_at: 0,
      })
      // The update changes nothing; it makes the row that was first come back.
      .onConflict((conflict) => conflict.column("key").doUpdateSet((build) => ({ key: build.ref("excluded.key") })))
      .returningAll()
      .executeTakeFirstOrThrow();
    return toSpawnKey(row);
  },

  settle: async ({ key, sandboxId }, madeId, nowMs) => {
    const { numUpdatedRows } = await queries
      .updateTable("spawn_keys")
      .set({ sandbox_id: madeId, settled_at: nowMs })
      .where("key", "=", key)
      .where("sandbox_id", "=", sandboxId)
      .where("settled_at", "=", 0)
      .executeTakeFirstOrThrow();
    return numUpdatedRows > 0n;
  },

  free: async ({ key, sandboxId }) => {
    const { numDeletedRows } = await queries
      .deleteFrom("spawn_keys")
      .where("key", "=", key)
      .where("sandbox_id", "=", sandboxId)
      .where("settled_at", "=", 0)
      .executeTakeFirstOrThrow();
    return numDeletedRows > 0n;
  },

  prune: async (beforeMs) => {
    const { numDeletedRows } = await queries
      .deleteFrom("spawn_keys")
      .where("created_at", "<", beforeMs)
      .executeTakeFirstOrThrow();
    return Number(numDeletedRows);
  },
});
