import type { SandboxRecord, SandboxState, SandboxSummary } from "../sandbox/sandbox.ts";
import type { Place, Scope } from "../sandbox/scope.ts";
import type { RegistryCredentialStore } from "./registry-credential-store.ts";
import type { SecretStore } from "./secret-store.ts";
import type { SessionStore } from "./session-store.ts";
import type { TenantStore } from "./tenant-store.ts";

export interface SandboxFilter extends Scope {
  readonly states?: readonly SandboxState[];
  readonly provider?: string;
  readonly ownerId?: string;
  readonly workerId?: string;
  readonly imageDigest?: string;
  readonly name?: string;
  /** All of them hold; without a value any will do. */
  readonly labels?: readonly { readonly name: string; readonly value?: string }[];
  /** Both without the moment itself. */
  readonly createdBeforeMs?: number;
  readonly createdAfterMs?: number;
}

/** By that, then by id the same way. */
export interface SandboxSort {
  readonly by: "createdAt" | "expiresAt" | "name";
  readonly descending: boolean;
}

/** Position after the last row of a page: what it is sorted by, and the id. */
export interface SandboxPosition {
  readonly value: number | string;
  readonly id: string;
}

export interface SandboxPage {
  /** All where absent. */
  readonly limit?: number;
  readonly after?: SandboxPosition;
  /** Newest first where absent. */
  readonly sort?: SandboxSort;
}

export interface SandboxStore {
  /** Throws already_exists when the id is taken. */
  insert(record: SandboxRecord): Promise<void>;
  /** Outside of the scope it is not found. */
  get(id: string, scope?: Scope): Promise<SandboxRecord | undefined>;
  /** Without destroyed ones unless `states` names them. */
  list(filter: SandboxFilter, page?: SandboxPage): Promise<readonly SandboxRecord[]>;
  /** The same order and the same rows, for those who look rather than act. */
  listSummaries(filter: SandboxFilter, page?: SandboxPage): Promise<readonly SandboxSummary[]>;
  /** Rows that are not destroyed. */
  count(filter: SandboxFilter): Promise<number>;
  /**
   * Changes the row only if it is in one of the states (and, where given, of the generation). Resolves to the new row,
   * or undefined when the condition did not hold.
   */
  transition(
    id: string,
    from: readonly SandboxState[],
    change: Partial<
      Omit<
        SandboxRecord,
        "id" | "createdAtMs" | "name" | "labels" | "envNames" | "workdir" | "user" | "networkMode" | "secrets"
      >
    >,
    generation?: number,
  ): Promise<SandboxRecord | undefined>;
  /** Compare-and-set of the expiry; undefined when the expiry or the state is no longer the expected one. */
  renewExpiry(
    id: string,
    expected: { readonly expiresAtMs: number },
    expiresAtMs: number,
    nowMs: number,
  ): Promise<SandboxRecord | undefined>;
  /** Rows in a living state whose expiry has passed, oldest expiry first. */
  listExpired(nowMs: number, limit: number, scope?: Scope): Promise<readonly SandboxRecord[]>;
  /** Rows whose transitional state is past its deadline. */
  listOverdue(nowMs: number, limit: number): Promise<readonly SandboxRecord[]>;
  countByState(): Promise<Readonly<Record<string, number>>>;
  countByProvider(scope?: Scope): Promise<Readonly<Record<string, number>>>;
  /** Disks of the provider's living sandboxes together, MiB. */
  diskMb(provider: string, scope?: Scope): Promise<number>;
  countByWorker(): Promise<Readonly<Record<string, number>>>;
  /** Deletes destroyed rows older than the time; resolves to how many. */
  purgeDestroyed(beforeMs: number, limit: number): Promise<number>;
}

export interface Lease {
  readonly resourceId: string;
  readonly resourceType: string;
  readonly holderId: string;
  readonly generation: number;
  readonly expiresAtMs: number;
}

export interface LeaseStore {
  /**
   * Takes a free or expired lease, or one already held by the holder; the generation grows by one on each taking by
   * another holder. Undefined when another holder's lease is alive.
   */
  acquire(request: {
    readonly resourceId: string;
    readonly resourceType: string;
    readonly holderId: string;
    readonly ttlMs: number;
    readonly nowMs: number;
  }): Promise<Lease | undefined>;
  /** Undefined when holder or generation no longer match, or it has expired. */
  renew(lease: Lease, ttlMs: number, nowMs: number): Promise<Lease | undefined>;
  /** Renews all of a holder's live leases at once; resolves to how many. */
  renewAll(holderId: string, ttlMs: number, nowMs: number): Promise<number>;
  release(lease: Pick<Lease, "resourceId" | "holderId" | "generation">): Promise<boolean>;
  get(resourceId: string): Promise<Lease | undefined>;
  list(): Promise<readonly Lease[]>;
}

export interface OwnerQuota {
  /** Empty: of an owner outside of all tenants. */
  readonly tenantId: string;
  readonly ownerId: string;
  /** 0 means: the default applies. */
  readonly maxSandboxes: number;
  readonly maxTtlMs: number;
  readonly maxExecTimeoutMs: number;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

export interface QuotaStore {
  get(tenantId: string, ownerId: string): Promise<OwnerQuota | undefined>;
  /** By owner; of one tenant, or of all. */
  list(tenantId?: string): Promise<readonly OwnerQuota[]>;
  save(quota: Omit<OwnerQuota, "createdAtMs">): Promise<OwnerQuota>;
  delete(tenantId: string, ownerId: string): Promise<boolean>;
}

export interface Template extends Place {
  readonly name: string;
  readonly version: number;
  readonly image: string;
  readonly description: string;
  readonly setup: readonly string[];
  readonly allowedHosts: readonly string[];
  readonly memoryMb: number;
  readonly cpuCores: number;
  readonly ttlSeconds: number;
  readonly env: Readonly<Record<string, string>>;
  readonly secrets: readonly { readonly name: string; readonly injectAt: string }[];
  readonly poolSize: number;
  readonly provider: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

export interface TemplateStore {
  /** Throws already_exists. */
  insert(template: Template): Promise<void>;
  get(place: Place, name: string): Promise<Template | undefined>;
  /** By name; of one place, or of all. */
  list(place?: Place): Promise<readonly Template[]>;
  /** Undefined when there is no such template. */
  update(
    place: Place,
    name: string,
    change: Partial<Omit<Template, "name" | "createdAtMs" | keyof Place>>,
  ): Promise<Template | undefined>;
  delete(place: Place, name: string): Promise<boolean>;
}

export interface WorkerRecord {
  readonly id: string;
  readonly hostname: string;
  readonly status: string;
  readonly providers: readonly string[];
  readonly capabilities: readonly string[];
  readonly capacity: Readonly<Record<string, unknown>>;
  readonly lastHeartbeatMs: number;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

export interface WorkerStore {
  upsert(worker: Omit<WorkerRecord, "createdAtMs">): Promise<WorkerRecord>;
  get(id: string): Promise<WorkerRecord | undefined>;
  list(): Promise<readonly WorkerRecord[]>;
  delete(id: string): Promise<boolean>;
}

/** A named key as the store keeps it: whoever reads it can't use it. 0 stands for never. */
export interface ApiKeyRecord {
  readonly id: string;
  readonly name: string;
  /** The first characters of the key, by which its holder recognises it. */
  readonly prefix: string;
  /** SHA-256 of the key, hex. */
  readonly digest: string;
  readonly role: string;
  /** Empty: of no tenant. */
  readonly tenantId: string;
  /** Empty: of its tenant as a whole. */
  readonly projectId: string;
  /** Whose it is, where a member made it for themself; both empty otherwise. */
  readonly memberIssuer: string;
  readonly memberId: string;
  readonly createdBy: string;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  readonly lastUsedAtMs: number;
  readonly revokedAtMs: number;
}

/** Keys of a tenant or a project, or of one member. */
export interface ApiKeyFilter extends Scope {
  readonly memberIssuer?: string;
  readonly memberId?: string;
}

export interface ApiKeyStore {
  insert(key: ApiKeyRecord): Promise<void>;
  findByDigest(digest: string): Promise<ApiKeyRecord | undefined>;
  /** Newest first, revoked and expired ones among them. */
  list(whose?: ApiKeyFilter): Promise<readonly ApiKeyRecord[]>;
  /** Keeps the time of the first call. Undefined when there is no such key among them. */
  revoke(id: string, nowMs: number, whose?: ApiKeyFilter): Promise<ApiKeyRecord | undefined>;
  /** Those of the ids whose key is there and not revoked. */
  unrevoked(ids: readonly string[]): Promise<ReadonlySet<string>>;
  /** Never goes back. */
  noteUse(id: string, nowMs: number): Promise<void>;
}

/** What signs the links to a sandbox's files. */
export interface FileLinkKeyStore {
  /** The sandbox's key, which is `fresh` where it had none; the same for all who ask at once. */
  ensure(sandboxId: string, fresh: string, nowMs: number): Promise<string>;
  get(sandboxId: string): Promise<string | undefined>;
  delete(sandboxId: string): Promise<boolean>;
}

/** A spawn that may be sent again. */
export interface SpawnKey {
  /** Digest of the caller and the key. */
  readonly key: string;
  /** Digest of what was asked for. */
  readonly fingerprint: string;
  /** While it goes on, which spawn has the key; then which sandbox came of it. */
  readonly sandboxId: string;
  /** The server that spawns. */
  readonly holderId: string;
  readonly createdAtMs: number;
  /** 0 while the spawn goes on. */
  readonly settledAtMs: number;
}

export interface SpawnKeyStore {
  /** Resolves to the row that stands under the key: this one, or the one that was first. */
  claim(spawn: Omit<SpawnKey, "settledAtMs">): Promise<SpawnKey>;
  /** Keeps what came of a claim; false when the claim no longer stands. */
  settle(claim: Pick<SpawnKey, "key" | "sandboxId">, madeId: string, nowMs: number): Promise<boolean>;
  /** Takes a claim back that has not been settled; false when there is none. */
  free(claim: Pick<SpawnKey, "key" | "sandboxId">): Promise<boolean>;
  /** Deletes those made before the time; resolves to how many. */
  prune(beforeMs: number): Promise<number>;
}

/** Why a sandbox was not admitted. */
export type AdmissionRefusal =
  | { readonly limit: "max_sandboxes" | "max_sandboxes_per_owner"; readonly used: number }
  | { readonly limit: "name"; readonly sandboxId: string };

/** What a caller did; written after the fact. */
export interface OperationAudit {
  readonly actor: string;
  readonly action: string;
  readonly sandboxId: string;
  readonly resource: string;
  readonly provider: string;
  readonly status: "success" | "failure";
  readonly detail: string;
  readonly tenantId: string;
  readonly createdAtMs: number;
}

export interface AuditStore {
  /** One insert for many rows. */
  record(rows: readonly OperationAudit[]): Promise<void>;
  list(limit: number): Promise<readonly (OperationAudit & { readonly id: number })[]>;
}

/** Callers' buckets of tokens, shared by all servers; by the database's clock. */
export interface RateBucketStore {
  /**
   * Takes a token of a bucket that holds `burst` and gets one each `everyMs`. `tokens`: how many it holds afterwards;
   * where none was given, the part of one that is there.
   */
  take(
    caller: string,
    bucket: { readonly everyMs: number; readonly burst: number },
  ): Promise<{ readonly allowed: boolean; readonly tokens: number }>;
  /** Deletes full ones, which are as good as none; resolves to how many. */
  prune(): Promise<number>;
}

/** How often addresses sent credentials that don't count, on all servers together; by the database's clock. */
export interface FailureCountStore {
  /** Resolves to the new counts. One whose last failure is longer ago begins anew. */
  add(failures: ReadonlyMap<string, number>, forgetAfterMs: number): Promise<ReadonlyMap<string, number>>;
  /** Deletes what is forgotten; resolves to how many. */
  prune(forgetAfterMs: number): Promise<number>;
}

/** Everything that outlives a process. One implementation over Kysely, two dialects. */
export interface Store extends AsyncDisposable {
  readonly dialect: "sqlite" | "postgres";
  /** Which database this is; the same after a restore, and to every server that uses it. */
  readonly id: string;
  readonly sandboxes: SandboxStore;
  readonly leases: LeaseStore;
  readonly quotas: QuotaStore;
  readonly templates: TemplateStore;
  readonly workers: WorkerStore;
  readonly fileLinkKeys: FileLinkKeyStore;
  readonly apiKeys: ApiKeyStore;
  readonly sessions: SessionStore;
  readonly tenants: TenantStore;
  readonly registryCredentials: RegistryCredentialStore;
  readonly secrets: SecretStore;
  readonly spawnKeys: SpawnKeyStore;
  readonly audit: AuditStore;
  /** Undefined on SQLite, which one server has to itself. */
  readonly rateBuckets: RateBucketStore | undefined;
  /** The same. */
  readonly failureCounts: FailureCountStore | undefined;
  /**
   * Inserts the sandbox row in one transaction with its name and the caps checked against living rows (0 = unlimited),
   * so that concurrent spawns can't pass a cap or take a name together. Resolves to what refused it, or undefined when
   * inserted. Throws tenant_not_found, project_not_found, or state_conflict for a tenant that is being deleted.
   */
  admitAndInsert(
    record: SandboxRecord,
    caps: { readonly maxSandboxes: number; readonly maxOwnerSandboxes: number },
  ): Promise<AdmissionRefusal | undefined>;
  /** Round trip to the database; throws store_unavailable. */
  ping(): Promise<void>;
}
