import type { Secret } from "../lib/secret.ts";
import type { Place } from "../sandbox/scope.ts";
import type { SecretRecord, SecretRef } from "../store/secret-store.ts";

/** What a secret is to a gateway that puts it into requests. */
export interface FoundSecret {
  /** Another one each time that it is saved. */
  readonly version: string;
  /** `host:port`; it may be sent to no other. */
  readonly hosts: readonly string[];
  readonly value: Secret;
}

export interface SecretContent {
  readonly value: Secret;
  /** As callers write them: `host` or `host:port`. */
  readonly hosts: readonly string[];
  readonly owners: readonly string[];
}

/** Something sealed in the database, wherever it stands. */
export interface SealedRow {
  readonly sealed: string;
  /** What it is sealed for. */
  readonly about: string;
  /** False when it is no longer sealed as it was. */
  replace(sealed: string): Promise<boolean>;
}

export interface Rotation {
  /** How many are under the current key now that were not. */
  readonly resealed: number;
  /** How many can't be opened with any key, and stay as they are. */
  readonly kept: number;
}

/** Keeps secrets, and opens them for those who may use them. */
export interface Vault {
  /** Throws secrets_key_missing, invalid_input, too_many_secrets, and what a place refuses. */
  save(ref: SecretRef, content: SecretContent, createdBy: string): Promise<SecretRecord>;
  /** By name. */
  list(place: Place): Promise<readonly SecretRecord[]>;
  delete(ref: SecretRef): Promise<boolean>;
  /**
   * The secret as it stands. `ownerId` is the sandbox's owner, empty where it has none. Undefined where there is none
   * or it isn't for that owner. Throws secrets_key_missing and secret_unreadable.
   */
  find(place: Place, ownerId: string, name: string): Promise<FoundSecret | undefined>;
  /** Opens a row as the store has it. Throws secrets_key_missing or secret_unreadable. */
  open(record: SecretRecord): Secret;
  /** Seals everything anew that isn't under the current key; may be stopped and done again. Throws secrets_key_missing. */
  rotate(): Promise<Rotation>;
  /** Whether it was saved or deleted here; other servers of the database say nothing. */
  onChange(listener: (ref: SecretRef) => void): void;
}
