/** A tenant's credential for a registry, as the store keeps it: whoever reads it needs the server's key to use it. */
export interface RegistryCredentialRecord {
  /** Another one each time that a credential is given. */
  readonly id: string;
  readonly tenantId: string;
  /** Host with an optional port, as image names spell it. */
  readonly registry: string;
  readonly username: string;
  /** The password, encrypted. */
  readonly sealed: string;
  readonly createdBy: string;
  readonly createdAtMs: number;
}

export interface RegistryCredentialStore {
  /** Takes the place of the one that the tenant had for the registry. Throws tenant_not_found or state_conflict. */
  save(credential: RegistryCredentialRecord): Promise<void>;
  find(tenantId: string, registry: string): Promise<RegistryCredentialRecord | undefined>;
  /** By registry. */
  list(tenantId: string): Promise<readonly RegistryCredentialRecord[]>;
  /** Of every tenant, by id. */
  page(afterId: string, limit: number): Promise<readonly RegistryCredentialRecord[]>;
  /** The same password under another key. False when it is no longer sealed as it was. */
  replaceSealed(id: string, from: string, to: string): Promise<boolean>;
  delete(tenantId: string, registry: string): Promise<boolean>;
}
