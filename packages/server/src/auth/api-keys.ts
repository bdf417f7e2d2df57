import { createHash } from "node:crypto";
import { StacyError } from "@stacyvm/contract";
import type { Clock } from "../lib/clock.ts";
import type { Ids } from "../lib/id.ts";
import { Recent } from "../lib/recent.ts";
import { Secret } from "../lib/secret.ts";
import type { ApiKeyFilter, ApiKeyRecord, ApiKeyStore } from "../store/store.ts";
import type { MemberName } from "../store/tenant-store.ts";
import type { Role } from "./roles.ts";

/** What a named key may be. */
export const apiKeyRoles = ["viewer", "api", "operator", "tenant_admin", "admin"] as const satisfies readonly Role[];
export type ApiKeyRole = (typeof apiKeyRoles)[number];

export interface NewApiKey {
  readonly name: string;
  readonly role: ApiKeyRole;
  /** Empty: of no tenant. */
  readonly tenantId: string;
  /** Empty: of its tenant as a whole. */
  readonly projectId: string;
  /** Whose it is, where a member makes it for themself. */
  readonly member?: MemberName;
  /** 0: it counts until it is revoked. */
  readonly ttlMs: number;
  readonly createdBy: string;
}

/** Whom a named key makes its holder. */
export interface KeyIdentity {
  readonly keyId: string;
  readonly role: ApiKeyRole;
  readonly tenantId: string;
  /** Epoch milliseconds; 0: it counts until it is revoked. */
  readonly expiresAtMs: number;
  readonly projectId: string;
  /** Whose it is, where a member made it for themself. */
  readonly member: MemberName | undefined;
}

export interface ApiKeysOptions {
  readonly store: ApiKeyStore;
  readonly clock: Clock;
  readonly ids: Pick<Ids, "apiKey" | "apiKeySecret">;
  readonly onFailure?: (error: unknown) => void;
  /** Told where keys were just revoked. */
  readonly onRevoked?: () => void;
}

/** How long a key that was looked up counts without another look: what another server revoked ends within this. */
const knownForMs = 5_000;
/** Most keys, right or wrong, whose lookup is remembered. */
const knownMax = 10_000;
/** A key's last use is written at most this often, milliseconds. */
const useNotedEveryMs = 60_000;
/** Characters of a key that are kept for its holder to recognise it by. */
const prefixLength = 12;

const format = /^svm_[A-Za-z0-9_-]{43}$/;

/** Whether a text looks like a named key, so that looking it up makes sense. */
export const looksLikeApiKey = (text: string): boolean => format.test(text);

const digestOf = (key: string): string => createHash("sha256").update(key).digest("hex");

/** Named keys: shown once, kept as digests. */
export class ApiKeys {
  readonly #options: ApiKeysOptions;
  readonly #known: Recent<ApiKeyRecord | undefined>;
  readonly #useNotedAtMs = new Map<string, number>();

  constructor(options: ApiKeysOptions) {
    this.#options = options;
    this.#known = new Recent({ clock: options.clock, forMs: knownForMs, max: knownMax });
  }

  /** The key itself is told here and never again. Throws invalid_input. */
  async create(wanted: NewApiKey): Promise<{ readonly record: ApiKeyRecord; readonly key: Secret }> {
    const { store, clock, ids } = this.#options;
    if (wanted.role === "tenant_admin" && wanted.tenantId === "") {
      throw new StacyError("invalid_input", "invalid input: a tenant_admin key needs a tenant_id");
    }
    if (wanted.role === "admin" && wanted.tenantId !== "") {
      throw new StacyError("invalid_input", "invalid input: an admin key is of no tenant");
    }
    if (wanted.projectId !== "" && (wanted.tenantId === "" || wanted.role === "tenant_admin")) {
      throw new StacyError(
        "invalid_input",
        "invalid input: a project's key needs its tenant_id, and no tenant_admin role",
      );
    }
    const key = ids.apiKeySecret();
    const nowMs = clock.now();
    const record: ApiKeyRecord = {
      id: ids.apiKey(),
      name: wanted.name,
      prefix: key.slice(0, prefixLength),
      digest: digestOf(key),
      role: wanted.role,
      tenantId: wanted.tenantId,
      projectId: wanted.projectId,
      memberIssuer: wanted.member?.issuer ?? "",
      memberId: wanted.member?.userId ?? "",
      createdBy: wanted.createdBy,
      createdAtMs: nowMs,
      expiresAtMs: wanted.ttlMs === 0 ? 0 : nowMs + wanted.ttlMs,
      lastUsedAtMs: 0,
      revokedAtMs: 0,
    };
    await store.insert(record);
    return { record, key: new Secret(key) };
  }

  list(whose?: ApiKeyFilter): Promise<readonly ApiKeyRecord[]> {
    return this.#options.store.list(whose);
  }

  /** Counts at once here, and within five seconds on other servers. Throws key_not_found. */
  async revoke(id: string, whose?: ApiKeyFilter): Promise<ApiKeyRecord> {
    const record = await this.#options.store.revoke(id, this.#options.clock.now(), whose);
    if (record === undefined) throw new StacyError("key_not_found", `not found: API key ${JSON.stringify(id)}`);
    this.#known.set(record.digest, record);
    this.#options.onRevoked?.();
    return record;
  }

  /** Those of the ids whose key is not revoked, by the database's word. */
  unrevoked(ids: readonly string[]): Promise<ReadonlySet<string>> {
    return this.#options.store.unrevoked(ids);
  }

  /** Keys were revoked here otherwise than by `revoke`: that counts at once. */
  changed(): void {
    this.#known.forget();
    this.#options.onRevoked?.();
  }

  /** Throws unauthenticated; what is wrong with a key that was one is told, as only its holder can ask. */
  async identify(key: string): Promise<KeyIdentity> {
    const digest = digestOf(key);
    const record = await this.#known.get(digest, () => this.#options.store.findByDigest(digest));
    const nowMs = this.#options.clock.now();
    if (record === undefined) throw refused("invalid or missing API key");
    if (record.revokedAtMs > 0) throw refused(`API key ${record.prefix}… was revoked`);
    if (record.expiresAtMs > 0 && record.expiresAtMs <= nowMs) throw refused(`API key ${record.prefix}… has expired`);
    const role = apiKeyRoles.find((one) => one === record.role);
    if (role === undefined) throw refused(`API key ${record.prefix}… has a role that this server doesn't know`);
    this.#noteUse(record, nowMs);
    const { id: keyId, tenantId, projectId, memberIssuer, memberId, expiresAtMs } = record;
    const member = memberId === "" ? undefined : { issuer: memberIssuer, userId: memberId };
    return { keyId, role, tenantId, projectId, member, expiresAtMs };
  }

  #noteUse({ id }: ApiKeyRecord, nowMs: number): void {
    if (nowMs - (this.#useNotedAtMs.get(id) ?? Number.NEGATIVE_INFINITY) < useNotedEveryMs) return;
    this.#useNotedAtMs.set(id, nowMs);
    // Nobody waits for it; a database that fails here fails the request's own work too.
    this.#options.store.noteUse(id, nowMs).catch((error: unknown) => this.#options.onFailure?.(error));
  }
}

const refused = (why: string): StacyError => new StacyError("unauthenticated", why);
