import type { Selectable } from "kysely";
import type { Database } from "./database.ts";
import { inParts } from "./in-parts.ts";
import type { GoneSession, SessionStore } from "./session-store.ts";
import type { SessionsTable } from "./tables.ts";

const goneColumns = ["digest", "owner_id", "role", "tenant_id", "key_header", "key_id"] as const;

const toGone = (row: Pick<Selectable<SessionsTable>, (typeof goneColumns)[number]>): GoneSession => ({
  digest: row.digest,
  ownerId: row.owner_id,
  role: row.role,
  tenantId: row.tenant_id,
  keyHeader: row.key_header,
  keyId: row.key_id,
});

export const sessionStore = ({ queries }: Database): SessionStore => ({
  insert: async (session, most) => {
    await queries
      .insertInto("sessions")
      .values({
        digest: session.digest,
        person: session.person,
        role: session.role,
        key_header: session.keyHeader,
        key_id: session.keyId,
        tenant_id: session.tenantId,
        project_id: session.projectId,
        member_issuer: session.memberIssuer,
        member_id: session.memberId,
        owner_id: session.ownerId,
        proof: session.proof,
        created_at: session.createdAtMs,
        last_used_at: session.lastUsedAtMs,
        expires_at: session.expiresAtMs,
      })
      .execute();
    const kept = queries
      .selectFrom("sessions")
      .select("digest")
      .where("person", "=", session.person)
      .orderBy("created_at", "desc")
      .orderBy("digest", "desc")
      .limit(most);
    const gone = await queries
      .deleteFrom("sessions")
      .where("person", "=", session.person)
      .where("digest", "!=", session.digest)
      .where("digest", "not in", kept)
      .returning(goneColumns)
      .execute();
    return gone.map(toGone);
  },

  find: async (digest) => {
    const row = await queries
      .selectFrom("sessions")
      .leftJoin("api_keys", "api_keys.id", "sessions.key_id")
      .selectAll("sessions")
      .select(["api_keys.id as joined_key", "api_keys.revoked_at"])
      .where("sessions.digest", "=", digest)
      .executeTakeFirst();
    if (row === undefined) return undefined;
    const counts = row.joined_key !== null && row.revoked_at === 0;
    return {
      digest: row.digest,
      person: row.person,
      role: row.role,
      keyHeader: row.key_header,
      keyId: row.key_id,
      tenantId: row.tenant_id,
      projectId: row.project_id,
      memberIssuer: row.member_issuer,
      memberId: row.member_id,
      ownerId: row.owner_id,
      proof: row.proof,
      createdAtMs: row.created_at,
      lastUsedAtMs: row.last_used_at,
      expiresAtMs: row.expires_at,
      key: row.key_id === "" ? "none" : counts ? "counts" : "revoked",
    };
  },

  lastUses: async (digests) => {
    const rows = await inParts(digests, (part) =>
      queries.selectFrom("sessions").select(["digest", "last_used_at"]).where("digest", "in", part).execute(),
    );
    return new Map(rows.map((row) => [row.digest, row.last_used_at]));
  },

  noteUse: async (digest, nowMs) => {
    await queries
      .updateTable("sessions")
      .set({ last_used_at: nowMs })
      .where("digest", "=", digest)
      .where("last_used_at", "<", nowMs)
      .execute();
  },

  delete: async (digest) => {
    const { numDeletedRows } = await queries.deleteFrom("sessions").where("digest", "=", digest).executeTakeFirst();
    return numDeletedRows > 0n;
  },

  spendLogin: async (digest, expiresAtMs) => {
    const { numInsertedOrUpdatedRows } = await queries
      .insertInto("spent_logins")
      .values({ digest, expires_at: expiresAtMs })
      .onConflict((conflict) => conflict.column("digest").doNothing())
      .executeTakeFirst();
    return (numInsertedOrUpdatedRows ?? 0n) > 0n;
  },

  purge: async (nowMs, idleSinceMs) => {
    await queries.deleteFrom("spent_logins").where("expires_at", "<=", nowMs).execute();
    const gone = await queries
      .deleteFrom("sessions")
      .where((row) => row.or([row("expires_at", "<=", nowMs), row("last_used_at", "<=", idleSinceMs)]))
      .returning(goneColumns)
      .execute();
    return gone.map(toGone);
  },
});
