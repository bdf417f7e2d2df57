import type { Place } from "../sandbox/scope.ts";

/** Which secret: its place and name. */
export interface SecretRef extends Place {
  readonly name: string;
}

/** A secret as the store keeps it: whoever reads it needs the server's key to use it. */
export interface SecretRecord extends SecretRef {
  /** From 1; each saving counts one up. One that was deleted and made again begins anew, with another createdAtMs. */
  readonly version: number;
  /** The value, encrypted. */
  readonly sealed: string;
  /** `host:port`, in lower case and ASCII: the only ones it is sent to. */
  readonly hosts: readonly string[];
  /** Ids of the owners whose sandboxes may use it; empty: everybody's of the place. */
  readonly owners: readonly string[];
  /** Who made it first. */
  readonly createdBy: string;
  readonly createdAtMs: number;
  /** When its version was saved. */
  readonly updatedAtMs: number;
  /** 0: never. */
  readonly lastUsedAtMs: number;
}

/** What tells a secret's contents from those that it had before, also where it was deleted and made again. */
export const secretVersion = ({ createdAtMs, version }: Pick<SecretRecord, "createdAtMs" | "version">): string =>
  `${createdAtMs}.${version}`;

export type NewSecret = Pick<SecretRecord, keyof SecretRef | "sealed" | "hosts" | "owners" | "createdBy"> & {
  readonly nowMs: number;
};

export interface SecretStore {
  /**
   * Makes it, or its next version, which takes the place of the last one. `max`: the most secrets of one place. Throws
   * tenant_not_found, project_not_found, state_conflict for a tenant that is being deleted, or too_many_secrets.
   */
  save(secret: NewSecret, max: number): Promise<SecretRecord>;
  find(place: Place, name: string): Promise<SecretRecord | undefined>;
  /** By name. */
  list(place: Place): Promise<readonly SecretRecord[]>;
  /** Those of the secrets that there are, in no order. */
  current(refs: readonly SecretRef[]): Promise<readonly SecretRecord[]>;
  delete(place: Place, name: string): Promise<boolean>;
  /** Notes a use. Never goes back. */
  touch(place: Place, name: string, atMs: number): Promise<void>;
  /** Of every place, by place and name. */
  page(after: SecretRef | undefined, limit: number): Promise<readonly SecretRecord[]>;
  /** The same value under another key: no new version. False when it is no longer sealed as it was. */
  replaceSealed(ref: SecretRef, from: string, to: string): Promise<boolean>;
}
