import type { Generated } from "kysely";

/** Column names are the tables' own; times are epoch milliseconds, booleans 0 or 1, JSON is text. */
export interface SandboxesTable {
  id: string;
  state: string;
  state_reason: string;
  provider: string;
  image: string;
  image_digest: string;
  memory_mb: number;
  vcpus: number;
  disk_mb: number;
  security: string;
  owner_id: string;
  tenant_id: string;
  /** Empty: of its tenant as a whole. */
  project_id: string;
  worker_id: string;
  metadata: string;
  runtime_ref: string;
  generation: number;
  created_at: number;
  expires_at: number;
  updated_at: number;
  /** 0 where the state is not transitional. */
  state_deadline: number;
  /** Empty: it has none. */
  name: string;
  labels: string;
  env_names: string;
  workdir: string;
  run_as: string;
  network_mode: string;
  /** Empty: no way out through the gateway. */
  network: string;
  /** JSON: a list of NAME@host:port. */
  secrets: string;
}

/** The labels again, one row each, for lists that filter by them. */
export interface SandboxLabelsTable {
  sandbox_id: string;
  name: string;
  value: string;
}

/** A spawn that may be sent again. The key and what was asked for are here as digests only. */
export interface SpawnKeysTable {
  key: string;
  fingerprint: string;
  sandbox_id: string;
  holder_id: string;
  created_at: number;
  /** 0 while the spawn goes on. */
  settled_at: number;
}

/** A released lease keeps its row, with no holder, so that its generation never falls. */
export interface LeasesTable {
  resource_id: string;
  resource_type: string;
  holder_id: string;
  generation: number;
  expires_at: number;
  created_at: number;
  updated_at: number;
}

export interface RegistryCredentialsTable {
  id: string;
  tenant_id: string;
  registry: string;
  username: string;
  sealed: string;
  created_by: string;
  created_at: number;
}

export interface OwnerQuotasTable {
  tenant_id: string;
  owner_id: string;
  max_sandboxes: number;
  max_ttl_ms: number;
  max_exec_timeout_ms: number;
  created_at: number;
  updated_at: number;
}

export interface TemplatesTable {
  tenant_id: string;
  project_id: string;
  name: string;
  version: number;
  image: string;
  description: string;
  setup: string;
  allowed_hosts: string;
  memory_mb: number;
  cpu_cores: number;
  ttl_seconds: number;
  env: string;
  secrets: string;
  pool_size: number;
  provider: string;
  metadata: string;
  created_at: number;
  updated_at: number;
}

export interface WorkersTable {
  id: string;
  hostname: string;
  status: string;
  providers: string;
  capabilities: string;
  capacity: string;
  last_heartbeat: number;
  created_at: number;
  updated_at: number;
}

export interface OperationAuditLogsTable {
  id: Generated<number>;
  actor: string;
  action: string;
  sandbox_id: string;
  resource: string;
  provider: string;
  status: string;
  detail: string;
  tenant_id: string;
  created_at: number;
}

/** What signs the links to a sandbox's files; without a row there are none. */
export interface FileLinkKeysTable {
  sandbox_id: string;
  key: string;
  created_at: number;
}

/** One row, made with the table: which database this is, also after a restore. */
export interface DatabaseIdTable {
  id: string;
}

export interface SchemaMigrationsTable {
  version: number;
  name: string;
  applied_at: number;
}

/** A key itself is never here; 0 stands for never. */
export interface ApiKeysTable {
  id: string;
  name: string;
  prefix: string;
  /** SHA-256, hex. */
  digest: string;
  role: string;
  tenant_id: string;
  project_id: string;
  /** Whose it is, where a member made it for themself: the issuer's name and the subject. */
  member_issuer: string;
  member_id: string;
  created_by: string;
  created_at: number;
  expires_at: number;
  last_used_at: number;
  revoked_at: number;
}

/** A browser's session; its id is never here. 0 stands for never. */
export interface SessionsTable {
  /** SHA-256 of the id, hex. */
  digest: string;
  person: string;
  role: string;
  key_header: string;
  key_id: string;
  tenant_id: string;
  project_id: string;
  member_issuer: string;
  member_id: string;
  owner_id: string;
  proof: string;
  created_at: number;
  last_used_at: number;
  expires_at: number;
}

/** Logins that have come to their end, so that none does twice. */
export interface SpentLoginsTable {
  digest: string;
  expires_at: number;
}

export interface TenantsTable {
  id: string;
  name: string;
  owner_id: string;
  /** Any JSON, as text. */
  settings: string;
  created_at: number;
  updated_at: number;
  /** 0 while it stands. */
  deleting_at: number;
}

export interface ProjectsTable {
  tenant_id: string;
  id: string;
  name: string;
  created_at: number;
  updated_at: number;
}

/** Somebody's role in a tenant, or, with a project, in that alone. */
export interface TenantMembersTable {
  tenant_id: string;
  project_id: string;
  issuer: string;
  user_id: string;
  role: string;
  created_at: number;
  updated_at: number;
}

/** A value is here sealed only; 0 stands for never. */
export interface SecretsTable {
  tenant_id: string;
  /** Empty: of its tenant as a whole. */
  project_id: string;
  name: string;
  version: number;
  sealed: string;
  /** List of `host:port`, as JSON. */
  hosts: string;
  /** List, as JSON; empty: everybody of the place. */
  owners: string;
  created_by: string;
  created_at: number;
  updated_at: number;
  last_used_at: number;
}

export interface Tables {
  tenants: TenantsTable;
  projects: ProjectsTable;
  tenant_members: TenantMembersTable;
  sessions: SessionsTable;
  spent_logins: SpentLoginsTable;
  api_keys: ApiKeysTable;
  sandboxes: SandboxesTable;
  sandbox_labels: SandboxLabelsTable;
  spawn_keys: SpawnKeysTable;
  leases: LeasesTable;
  owner_quotas: OwnerQuotasTable;
  registry_credentials: RegistryCredentialsTable;
  secrets: SecretsTable;
  templates: TemplatesTable;
  workers: WorkersTable;
  operation_audit_logs: OperationAuditLogsTable;
  file_link_keys: FileLinkKeysTable;
  database_id: DatabaseIdTable;
  schema_migrations: SchemaMigrationsTable;
}
