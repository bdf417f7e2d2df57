import { StacyError } from "@stacyvm/contract";
import type { Clock } from "../lib/clock.ts";
import { parseOwnerId } from "../sandbox/owner.ts";
import { type SecretRecord, type SecretRef, type SecretStore, secretVersion } from "../store/secret-store.ts";
import { requireSealer } from "./find-sealer.ts";
import { secretHosts } from "./hosts.ts";
import { rotate } from "./rotate.ts";
import type { Sealer } from "./seal.ts";
import type { SealedRow, Vault } from "./vault.ts";

export interface VaultOptions {
  readonly store: SecretStore;
  /** Undefined: this server has no key. */
  readonly sealer: Sealer | undefined;
  /** What else is sealed in the database. */
  readonly otherRows: () => AsyncIterable<SealedRow>;
  /** A row that no key opens. */
  readonly onKept: (about: string, error: unknown) => void;
  readonly clock: Clock;
}

/** Most secrets of one place. */
const placeSecretsMax = 200;
/** Rows that a rotation reads at once. */
const rotationPageMax = 100;

/** What a value is sealed for: moved to another row it doesn't open. */
const aboutOf = ({ tenantId, projectId, name }: SecretRef): string =>
  JSON.stringify(["secret", tenantId, projectId, name]);

async function* sealedSecrets(store: SecretStore): AsyncGenerator<SealedRow> {
  let page: readonly SecretRecord[] = [];
  do {
    page = await store.page(page.at(-1), rotationPageMax);
    for (const record of page) {
      const { sealed } = record;
      yield { sealed, about: aboutOf(record), replace: (anew) => store.replaceSealed(record, sealed, anew) };
    }
  } while (page.length === rotationPageMax);
}

async function* chained(parts: readonly (() => AsyncIterable<SealedRow>)[]): AsyncGenerator<SealedRow> {
  for (const part of parts) yield* part();
}

export const createVault = ({ store, sealer, otherRows, onKept, clock }: VaultOptions): Vault => {
  const listeners: ((ref: SecretRef) => void)[] = [];
  const changed = ({ tenantId, projectId, name }: SecretRef): void => {
    for (const listener of listeners) listener({ tenantId, projectId, name });
  };

  const open: Vault["open"] = (record) => {
    const withKey = requireSealer(sealer);
    try {
      return withKey.open(record.sealed, aboutOf(record));
    } catch (cause) {
      throw new StacyError("secret_unreadable", `conflict: the secret ${JSON.stringify(record.name)} can't be read`, {
        cause,
      });
    }
  };

  return {
    async save(ref, { value, hosts, owners }, createdBy) {
      const content = { hosts: secretHosts(hosts), owners: [...new Set(owners.map(parseOwnerId))].toSorted() };
      const sealed = requireSealer(sealer).seal(value, aboutOf(ref));
      const record = { ...ref, ...content, sealed, createdBy, nowMs: clock.now() };
      const saved = await store.save(record, placeSecretsMax);
      changed(saved);
      return saved;
    },

    list: (place) => store.list(place),

    async delete(ref) {
      const isDeleted = await store.delete(ref, ref.name);
      if (isDeleted) changed(ref);
      return isDeleted;
    },

    async find(place, ownerId, name) {
      const record = await store.find(place, name);
      if (record === undefined || !(record.owners.length === 0 || record.owners.includes(ownerId))) return undefined;
      return { version: secretVersion(record), hosts: record.hosts, value: open(record) };
    },

    open,

    async rotate() {
      const rows = chained([() => sealedSecrets(store), otherRows]);
      return await rotate(rows, requireSealer(sealer), onKept);
    },

    onChange: (listener) => void listeners.push(listener),
  };
};
