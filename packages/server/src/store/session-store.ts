/** A browser's session as the store keeps it: whoever reads it can't use it. */
export interface SessionRecord {
  /** SHA-256 of the random id, hex. */
  readonly digest: string;
  /** Whose sessions are counted together: a key's, or a subject's. */
  readonly person: string;
  readonly role: string;
  /** Header of the credential that made it. */
  readonly keyHeader: string;
  /** Of a named key; empty for every other credential. */
  readonly keyId: string;
  readonly tenantId: string;
  readonly projectId: string;
  /** Whose own credential it was; both empty where nobody's. */
  readonly memberIssuer: string;
  readonly memberId: string;
  readonly ownerId: string;
  /** HMAC of a configured key under the session's id; empty for every other credential. */
  readonly proof: string;
  readonly createdAtMs: number;
  readonly lastUsedAtMs: number;
  readonly expiresAtMs: number;
}

/** A session whose row is gone. */
export type GoneSession = Pick<SessionRecord, "digest" | "ownerId" | "role" | "tenantId" | "keyHeader" | "keyId">;

/** A session, and how the named key behind it stands now. */
export interface FoundSession extends SessionRecord {
  /** `none`: no named key is behind it. */
  readonly key: "none" | "counts" | "revoked";
}

export interface SessionStore {
  /** Keeps the newest `most` of the person, this one among them, and deletes the others; resolves to these. */
  insert(session: SessionRecord, most: number): Promise<readonly GoneSession[]>;
  find(digest: string): Promise<FoundSession | undefined>;
  /** When those of them that there are were last used. */
  lastUses(digests: readonly string[]): Promise<ReadonlyMap<string, number>>;
  /** Never goes back. */
  noteUse(digest: string, nowMs: number): Promise<void>;
  delete(digest: string): Promise<boolean>;
  /** Marks a login as come to its end; false where it was already. */
  spendLogin(digest: string, expiresAtMs: number): Promise<boolean>;
  /** Deletes what has expired, what was last used before the other time, and logins marked as spent; resolves to the sessions. */
  purge(nowMs: number, idleSinceMs: number): Promise<readonly GoneSession[]>;
}
