import { createHash } from "node:crypto";
import { StacyError } from "@stacyvm/contract";
import type { Clock } from "../lib/clock.ts";
import type { Ids } from "../lib/id.ts";
import { Secret } from "../lib/secret.ts";
import type { ApiKeyRecord, ApiKeyStore } from "../store/store.ts";
import type { Role } from "./roles.ts";

/** What a named key may be. */
export const apiKeyRoles = ["viewer", "api", "operator", "tenant_admin", "admin"] as const satisfies readonly Role[];
export type ApiKeyRole = (typeof apiKeyRoles)[number];

export interface NewApiKey {
  readonly name: string;
  readonly role: ApiKeyRole;
  /** Empty: of no tenant. */
  readonly tenantId: string;
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
}

export interface ApiKeysOptions {
  readonly store: ApiKeyStore;
  readonly clock: Clock;
  readonly ids: Pick<Ids, "apiKey" | "apiKeySecret">;
  readonly onFailure?: (error: unknown) => void;
  /** Told the id of a key that was just revoked. */
  readonly onRevoked?: (id: string) => void;
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

interface Known {
  readonly record: ApiKeyRecord | undefined;
  readonly atMs: number;
}

/** Named keys: shown once, kept as digests. */
export class ApiKeys {
  readonly #options: ApiKeysOptions;
  readonly #known = new Map<string, Known>();
  readonly #useNotedAtMs = new Map<string, number>();

  constructor(options: ApiKeysOptions) {
    this.#options = options;
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
    const key = ids.apiKeySecret();
    const nowMs = clock.now();
    const record: ApiKeyRecord = {
      id: ids.apiKey(),
      name: wanted.name,
      prefix: key.slice(0, prefixLength),
      digest: digestOf(key),
      role: wanted.role,
      tenantId: wanted.tenantId,
      createdBy: wanted.createdBy,
      createdAtMs: nowMs,
      expiresAtMs: wanted.ttlMs === 0 ? 0 : nowMs + wanted.ttlMs,
      lastUsedAtMs: 0,
      revokedAtMs: 0,
    };
    await store.insert(record);
    return { record, key: new Secret(key) };
  }

  list(): Promise<readonly ApiKeyRecord[]> {
    return this.#options.store.list();
  }

  /** Counts at once here, and within five seconds on other servers. Throws key_not_found. */
  async revoke(id: string): Promise<ApiKeyRecord> {
    const record = await this.#options.store.revoke(id, this.#options.clock.now());
    if (record === undefined) throw new StacyError("key_not_found", `not found: API key ${JSON.stringify(id)}`);
    this.#known.set(record.digest, { record, atMs: this.#options.clock.now() });
    this.#options.onRevoked?.(id);
    return record;
  }

  /** Throws unauthenticated; what is wrong with a key that was one is told, as only its holder can ask. */
  async identify(key: string): Promise<KeyIdentity> {
    const record = await this.#lookUp(digestOf(key));
    const nowMs = this.#options.clock.now();
    if (record === undefined) throw refused("invalid or missing API key");
    if (record.revokedAtMs > 0) throw refused(`API key ${record.prefix}… was revoked`);
    if (record.expiresAtMs > 0 && record.expiresAtMs <= nowMs) throw refused(`API key ${record.prefix}… has expired`);
    const role = apiKeyRoles.find((one) => one === record.role);
    if (role === undefined) throw refused(`API key ${record.prefix}… has a role that this server doesn't know`);
    this.#noteUse(record, nowMs);
    return { keyId: record.id, role, tenantId: record.tenantId, expiresAtMs: record.expiresAtMs };
  }

  async #lookUp(digest: string): Promise<ApiKeyRecord | undefined> {
    const { store, clock } = this.#options;
    const known = this.#known.get(digest);
    if (known !== undefined && clock.now() - known.atMs < knownForMs) return known.record;
    // The time before the look: what changes meanwhile must not count for longer.
    const atMs = clock.now();
    const record = await store.findByDigest(digest);
    const meanwhile = this.#known.get(digest);
    if (meanwhile !== undefined && meanwhile !== known) return meanwhile.record;
    this.#known.delete(digest);
    this.#known.set(digest, { record, atMs });
    if (this.#known.size > knownMax) this.#known.delete(this.#known.keys().next().value ?? "");
    return record;
  }

  #noteUse({ id }: ApiKeyRecord, nowMs: number): void {
    if (nowMs - (this.#useNotedAtMs.get(id) ?? Number.NEGATIVE_INFINITY) < useNotedEveryMs) return;
    this.#useNotedAtMs.set(id, nowMs);
    // Nobody waits for it; a database that fails here fails the request's own work too.
    this.#options.store.noteUse(id, nowMs).catch((error: unknown) => this.#options.onFailure?.(error));
  }
}

const refused = (why: string): StacyError => new StacyError("unauthenticated", why);
