import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { StacyError } from "@stacyvm/contract";
import type { Clock } from "../lib/clock.ts";
import type { Ids } from "../lib/id.ts";
import { Recent } from "../lib/recent.ts";
import { Secret } from "../lib/secret.ts";
import type { FoundSession, GoneSession, SessionStore } from "../store/session-store.ts";
import type { MemberName } from "../store/tenant-store.ts";
import type { Role } from "./roles.ts";

/** What a session makes its holder: the same that the credential did which began it. */
export interface SessionHolder {
  readonly role: Role;
  readonly keyHeader: "X-API-Key" | "X-Admin-API-Key" | "Authorization";
  /** Of a named key; empty for every other credential. */
  readonly keyId: string;
  readonly tenantId: string;
  readonly projectId: string;
  /** Where it was somebody's own credential. */
  readonly member: MemberName | undefined;
  readonly ownerId: string;
}

export interface LiveSession extends SessionHolder {
  /** What the store knows it by. */
  readonly digest: string;
  /** When it ends however much it is used, epoch milliseconds. */
  readonly expiresAtMs: number;
}

/** A key of the configuration, and what it makes of its holder, the admin area included. */
export interface ConfiguredKey {
  readonly key: Secret;
  readonly role: "api" | "admin";
}

export interface SessionsOptions {
  readonly store: SessionStore;
  readonly clock: Clock;
  readonly ids: Pick<Ids, "session">;
  readonly configuredKeys: readonly ConfiguredKey[];
  readonly idleMs: number;
  readonly absoluteMs: number;
  /** Most sessions of one person; a further one ends the oldest. */
  readonly perPerson: number;
  readonly onFailure?: (error: unknown) => void;
  /** Told where a session was just ended. */
  readonly onEnded?: () => void;
  /** Told of sessions that nobody ended: their time was over, or their person began too many. */
  readonly onGone?: (session: GoneSession, why: "expire" | "evict") => void;
}

export interface NewSession {
  readonly holder: SessionHolder;
  /** When the credential itself ends, epoch milliseconds; 0: it doesn't. */
  readonly credentialEndsAtMs: number;
  /** What came in the key headers; a configured key among them is what the session hangs on. */
  readonly sentKeys: readonly string[];
  /** Id of the session that the browser had; it ends. */
  readonly replaces?: string | undefined;
}

export interface CreatedSession {
  readonly id: Secret;
  readonly session: LiveSession;
  /** Digest of the session that ended for it, where there was one. */
  readonly replaced?: string;
}

/** How long a session that was looked up counts without another look: what another server ended ends within this. */
const sessionKnownForMs = 5_000;
/** Most sessions, and ids that are none, whose lookup is remembered. */
const sessionsKnownMax = 10_000;
/** A session's last use is written at most this often, milliseconds; more often where sessions end sooner. */
const sessionUseNotedEveryMs = 60_000;

const format = /^[A-Za-z0-9_-]{43}$/;
/** Of anonymous ones only their memberships make something. */
const roles = ["anonymous", "viewer", "api", "operator", "tenant_admin", "admin"] as const satisfies readonly Role[];
const keyHeaders = ["X-API-Key", "X-Admin-API-Key", "Authorization"] as const;

const digestOf = (id: string): string => createHash("sha256").update(id).digest("hex");

/** Tells whether a configured key is still the one; without the id, which the store lacks, it tells nothing of the key. */
const proofOf = (id: string, key: Secret): string => createHmac("sha256", id).update(key.reveal()).digest("hex");

const ended = (): StacyError =>
  new StacyError("unauthenticated", "the session has ended, or never was", { remediation: "Log in again." });

interface Known {
  readonly record: FoundSession | undefined;
  /** As this server knows it, before the store does. */
  lastUsedAtMs: number;
}

const knownAs = (record: FoundSession | undefined): Known => ({ record, lastUsedAtMs: record?.lastUsedAtMs ?? 0 });

/** Sessions of browsers: a random id in a cookie, its digest in the store. */
export class Sessions {
  readonly #options: SessionsOptions;
  readonly #known: Recent<Known>;
  readonly #noteEveryMs: number;

  constructor(options: SessionsOptions) {
    this.#options = options;
    this.#known = new Recent({ clock: options.clock, forMs: sessionKnownForMs, max: sessionsKnownMax });
    this.#noteEveryMs = Math.min(sessionUseNotedEveryMs, Math.floor(options.idleMs / 4));
  }

  /** A new id each time, so that nobody can have fixed it. */
  async create(wanted: NewSession): Promise<CreatedSession> {
    const { store, clock, ids, configuredKeys, absoluteMs, perPerson } = this.#options;
    const { holder, credentialEndsAtMs } = wanted;
    const id = ids.session();
    const nowMs = clock.now();
    const isConfigured = holder.keyHeader !== "Authorization" && holder.keyId === "";
    const sent = configuredKeys.filter(({ key }) => wanted.sentKeys.some((each) => key.equals(each)));
    const configured = sent.find(({ role }) => role === "admin") ?? sent[0];
    if (isConfigured && configured === undefined) throw new StacyError("unauthenticated", "invalid or missing API key");
    const role = isConfigured && configured !== undefined ? configured.role : holder.role;
    const session: LiveSession = {
      ...holder,
      role,
      digest: digestOf(id),
      expiresAtMs: Math.min(
        nowMs + absoluteMs,
        credentialEndsAtMs === 0 ? Number.POSITIVE_INFINITY : credentialEndsAtMs,
      ),
    };
    const { digest, expiresAtMs, keyHeader, keyId, tenantId, projectId, ownerId, member } = session;
    const record = {
      ...{ digest, person: personOf(session), role, keyHeader, keyId, tenantId, projectId, ownerId },
      ...{ memberIssuer: member?.issuer ?? "", memberId: member?.userId ?? "" },
      proof: isConfigured && configured !== undefined ? proofOf(id, configured.key) : "",
      ...{ createdAtMs: nowMs, lastUsedAtMs: nowMs, expiresAtMs },
    };
    const evicted = await store.insert(record, perPerson);
    for (const gone of evicted) this.#options.onGone?.(gone, "evict");
    const replaced = wanted.replaces === undefined ? undefined : digestOf(wanted.replaces);
    const ended = replaced !== undefined && (await this.end(replaced));
    return { id: new Secret(id), session, ...(ended ? { replaced } : {}) };
  }

  /** Throws unauthenticated. */
  async identify(id: string): Promise<LiveSession> {
    if (!format.test(id)) throw ended();
    const digest = digestOf(id);
    const known = await this.#known.get(digest, async () => knownAs(await this.#options.store.find(digest)));
    const { record } = known;
    const nowMs = this.#options.clock.now();
    if (record === undefined || record.key === "revoked" || record.expiresAtMs <= nowMs) throw ended();
    if (known.lastUsedAtMs + this.#options.idleMs <= nowMs) throw ended();
    const role = roles.find((one) => one === record.role);
    const keyHeader = keyHeaders.find((one) => one === record.keyHeader);
    if (role === undefined || keyHeader === undefined || !this.#isProven(id, record)) throw ended();
    this.#noteUse(known, digest, nowMs);
    const { keyId, tenantId, projectId, memberIssuer, memberId, ownerId, expiresAtMs } = record;
    const member = memberId === "" ? undefined : { issuer: memberIssuer, userId: memberId };
    return { role, keyHeader, keyId, tenantId, projectId, member, ownerId, digest, expiresAtMs };
  }

  /** Those of the sessions that go on, by the database's word. Looking at a session is no use of it. */
  async goingOn(digests: readonly string[]): Promise<ReadonlySet<string>> {
    const { store, clock, idleMs } = this.#options;
    const lastUses = await store.lastUses(digests);
    const nowMs = clock.now();
    return new Set(digests.filter((digest) => (lastUses.get(digest) ?? 0) + idleMs > nowMs));
  }

  /** At once here, and within five seconds on other servers. */
  async end(digest: string): Promise<boolean> {
    const wasThere = await this.#options.store.delete(digest);
    this.#known.set(digest, knownAs(undefined));
    this.#options.onEnded?.();
    return wasThere;
  }

  /** Named keys were revoked here: what hangs on them is looked up anew. */
  forget(): void {
    this.#known.forget();
  }

  /** Deletes the rows of sessions that have ended; resolves to how many. */
  async purge(): Promise<number> {
    const nowMs = this.#options.clock.now();
    const expired = await this.#options.store.purge(nowMs, nowMs - this.#options.idleMs);
    for (const gone of expired) this.#options.onGone?.(gone, "expire");
    return expired.length;
  }

  #isProven(id: string, record: FoundSession): boolean {
    if (record.proof === "") return record.keyHeader === "Authorization" || record.keyId !== "";
    const proof = Buffer.from(record.proof);
    return this.#options.configuredKeys.some(({ key, role }) => {
      const expected = Buffer.from(proofOf(id, key));
      return role === record.role && expected.length === proof.length && timingSafeEqual(expected, proof);
    });
  }

  #noteUse(known: Known, digest: string, nowMs: number): void {
    if (nowMs - known.lastUsedAtMs < this.#noteEveryMs) return;
    known.lastUsedAtMs = nowMs;
    // Nobody waits for it; a database that fails here fails the request's own work too.
    this.#options.store.noteUse(digest, nowMs).catch((error: unknown) => this.#options.onFailure?.(error));
  }
}

const personOf = ({ keyHeader, keyId, role, ownerId }: SessionHolder): string => {
  if (keyHeader === "Authorization") return `token:${ownerId}`;
  return keyId === "" ? `configured:${role}` : `key:${keyId}`;
};
