import type { Selectable } from "kysely";
import type { Database } from "./database.ts";
import type { ApiKeyRecord, ApiKeyStore } from "./store.ts";
import type { ApiKeysTable } from "./tables.ts";

const toKey = (row: Selectable<ApiKeysTable>): ApiKeyRecord => ({
  id: row.id,
  name: row.name,
  prefix: row.prefix,
  digest: row.digest,
  role: row.role,
  tenantId: row.tenant_id,
  createdBy: row.created_by,
  createdAtMs: row.created_at,
  expiresAtMs: row.expires_at,
  lastUsedAtMs: row.last_used_at,
  revokedAtMs: row.revoked_at,
});

export const apiKeyStore = ({ queries }: Database): ApiKeyStore => ({
  insert: async (key) => {
    await queries
      .insertInto("api_keys")
      .values({
        id: key.id,
        name: key.name,
        prefix: key.prefix,
        digest: key.digest,
        role: key.role,
        tenant_id: key.tenantId,
        created_by: key.createdBy,
        created_at: key.createdAtMs,
        expires_at: key.expiresAtMs,
        last_used_at: key.lastUsedAtMs,
        revoked_at: key.revokedAtMs,
      })
      .execute();
  },

  findByDigest: async (digest) => {
    const row = await queries.selectFrom("api_keys").selectAll().where("digest", "=", digest).executeTakeFirst();
    return row && toKey(row);
  },

  list: async () => {
    const rows = queries.selectFrom("api_keys").selectAll().orderBy("created_at", "desc").orderBy("id", "desc");
    return (await rows.execute()).map(toKey);
  },

  revoke: async (id, nowMs) => {
    await queries
      .updateTable("api_keys")
      .set({ revoked_at: nowMs })
      .where("id", "=", id)
      .where("revoked_at", "=", 0)
      .execute();
    const row = await queries.selectFrom("api_keys").selectAll().where("id", "=", id).executeTakeFirst();
    return row && toKey(row);
  },

  noteUse: async (id, nowMs) => {
    await queries
      .updateTable("api_keys")
      .set({ last_used_at: nowMs })
      .where("id", "=", id)
      .where("last_used_at", "<", nowMs)
      .execute();
  },
});
