import type { Expression, ExpressionBuilder, Selectable, SqlBool } from "kysely";
import type { Database } from "./database.ts";
import { inParts } from "./in-parts.ts";
import { requirePlace } from "./place.ts";
import type { ApiKeyFilter, ApiKeyRecord, ApiKeyStore } from "./store.ts";
import type { ApiKeysTable, Tables } from "./tables.ts";

const toKey = (row: Selectable<ApiKeysTable>): ApiKeyRecord => ({
  id: row.id,
  name: row.name,
  prefix: row.prefix,
  digest: row.digest,
  role: row.role,
  tenantId: row.tenant_id,
  projectId: row.project_id,
  memberIssuer: row.member_issuer,
  memberId: row.member_id,
  createdBy: row.created_by,
  createdAtMs: row.created_at,
  expiresAtMs: row.expires_at,
  lastUsedAtMs: row.last_used_at,
  revokedAtMs: row.revoked_at,
});

const isOf =
  ({ tenantId, projectId, memberIssuer, memberId }: ApiKeyFilter) =>
  (build: ExpressionBuilder<Tables, "api_keys">): Expression<SqlBool> =>
    build.and([
      ...(tenantId === undefined ? [] : [build("tenant_id", "=", tenantId)]),
      ...(projectId === undefined ? [] : [build("project_id", "=", projectId)]),
      ...(memberIssuer === undefined ? [] : [build("member_issuer", "=", memberIssuer)]),
      ...(memberId === undefined ? [] : [build("member_id", "=", memberId)]),
    ]);

export const apiKeyStore = (database: Database): ApiKeyStore => {
  const { queries } = database;
  return {
    insert: async (key) => {
      await queries.transaction().execute(async (transaction) => {
        await requirePlace(database, transaction, key);
        await transaction
          .insertInto("api_keys")
          .values({
            id: key.id,
            name: key.name,
            prefix: key.prefix,
            digest: key.digest,
            role: key.role,
            tenant_id: key.tenantId,
            project_id: key.projectId,
            member_issuer: key.memberIssuer,
            member_id: key.memberId,
            created_by: key.createdBy,
            created_at: key.createdAtMs,
            expires_at: key.expiresAtMs,
            last_used_at: key.lastUsedAtMs,
            revoked_at: key.revokedAtMs,
          })
          .execute();
      });
    },

    findByDigest: async (digest) => {
      const row = await queries.selectFrom("api_keys").selectAll().where("digest", "=", digest).executeTakeFirst();
      return row && toKey(row);
    },

    list: async (whose = {}) => {
      const rows = queries
        .selectFrom("api_keys")
        .selectAll()
        .where(isOf(whose))
        .orderBy("created_at", "desc")
        .orderBy("id", "desc");
      return (await rows.execute()).map(toKey);
    },

    revoke: async (id, nowMs, whose = {}) => {
      await queries
        .updateTable("api_keys")
        .set({ revoked_at: nowMs })
        .where("id", "=", id)
        .where(isOf(whose))
        .where("revoked_at", "=", 0)
        .execute();
      const rows = queries.selectFrom("api_keys").selectAll().where("id", "=", id).where(isOf(whose));
      const row = await rows.executeTakeFirst();
      return row && toKey(row);
    },

    unrevoked: async (ids) => {
      const rows = await inParts(ids, (part) =>
        queries.selectFrom("api_keys").select("id").where("id", "in", part).where("revoked_at", "=", 0).execute(),
      );
      return new Set(rows.map(({ id }) => id));
    },

    noteUse: async (id, nowMs) => {
      await queries
        .updateTable("api_keys")
        .set({ last_used_at: nowMs })
        .where("id", "=", id)
        .where("last_used_at", "<", nowMs)
        .execute();
    },
  };
};
