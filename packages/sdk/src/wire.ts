/** Shapes of the HTTP API, snake_case as on the wire. */

/** Where a sandbox is in its life. */
export type SandboxState =
  | "creating"
  | "running"
  | "idle"
  | "unhealthy"
  | "expired"
  | "stopped"
  | "paused"
  | "restarting"
  | "destroying"
  | "destroyed"
  | "error"
  | "unknown";

export interface SandboxInfo {
  id: string;
  state: SandboxState;
  provider: string;
  image: string;
  memory_mb: number;
  vcpus: number;
  owner_id?: string;
  tenant_id?: string;
  vm_id?: string;
  worker_id?: string;
  /** RFC 3339. */
  created_at: string;
  /** RFC 3339. */
  expires_at: string;
  metadata?: Record<string, string>;
  /** Host name, with a port where it isn't 80, under which previews are served. */
  preview_domain?: string;
  /** From here on absent from servers that don't know them. */
  name?: string;
  labels?: Record<string, string>;
  /** What its environment names, sorted; the values are never told. */
  env_names?: string[];
  /** Where commands start. */
  workdir?: string;
  /** Whom commands run as, where that was asked for. */
  user?: string;
  /** Mebibytes. */
  disk_mb?: number;
  security?: string;
  network_mode?: string;
  /** What it may reach; absent where no gateway decides. */
  network?: NetworkPolicy;
  /** Whose placeholders its environment has: `NAME@host:port`. */
  secrets?: string[];
}

/** A header that HTTPS requests to one host get on their way out; the sandbox sees neither it nor the secret. */
export interface InjectRule {
  /** A name with an optional port, 443 where there is none. */
  host: string;
  header: string;
  /** Name of a secret that may be sent to this host. */
  secret: string;
  /** What the header says, `{secret}` standing for the secret; `{secret}` alone where absent. */
  value?: string;
}

/** What a sandbox may reach. `deny` counts before `allow`, `allow` before the mode. */
export interface NetworkPolicy {
  /** `public`: the Internet over TCP. `allowlist`: what a rule allows. */
  mode: "none" | "public" | "allowlist";
  /**
   * `api.example.com:443`, `*.example.com`, `203.0.113.0/24:80,8000-8100`, `[2001:db8::/32]:443`; of hosts whose HTTP requests are looked into also
   * `inspect api.example.com`, `GET,HEAD api.example.com:443`, `POST api.example.com/v1/*`.
   */
  allow?: string[];
  deny?: string[];
  inject?: InjectRule[];
}

/** What a sandbox may reach, and what came of it. */
export interface NetworkInfo extends NetworkPolicy {
  allow: string[];
  deny: string[];
  inject: InjectRule[];
  /**
   * `transparent`: every TCP connection and every name goes through the gateway. `proxy`: what programs ask of the HTTP proxy inside does; programs
   * that don't read its variables (`HTTPS_PROXY` and so on) reach nothing.
   */
  level: "none" | "transparent" | "proxy";
  /** The operator's policy: what it does not permit, no sandbox may reach. */
  server: Pick<NetworkInfo, "mode" | "allow" | "deny" | "inject">;
  /** Since the gateway started. */
  counts?: { open: number; allowed: number; denied: number; failed: number; sent: number; received: number };
  /** Connections that the change ended. */
  cut?: number;
}

/** What the gateway decided, or what came of it; its texts are the sandbox's own words. */
export interface NetworkDecision {
  /** RFC 3339. */
  at: string;
  /** `closed`: how a connection ended. `missed`: more than were told. `live`: what follows is new. */
  type: "decision" | "closed" | "missed" | "live";
  /** Joins a connection's decision and its end. */
  flow?: number;
  kind?: "connect" | "resolve" | "query" | "request" | "response";
  host?: string;
  /** What was dialled, or would have been. */
  address?: string;
  port?: number;
  /** `masked`: an answer held a secret, and stars came in its place. */
  decision?: "allowed" | "denied" | "failed" | "masked";
  reason?: string;
  rule?: string;
  /** Whose rule or mode it was: `server` or `sandbox`. */
  policy?: string;
  method?: string;
  /** Of a request, without its query. */
  path?: string;
  /** Names of secrets that were put in, or masked. */
  secrets?: string[];
  /** Bytes out of the sandbox. */
  sent?: number;
  received?: number;
  count?: number;
}

/** What a sandbox is asked to be, by a spawn or by a template's. */
export interface SandboxSpec {
  metadata?: Record<string, string> | undefined;
  /** Environment of everything that is started in the sandbox: 256 names, 128 KiB together. Never told again. */
  env?: Record<string, string> | undefined;
  /** Where commands start; absolute, made where it is missing. Default `/workspace`. */
  workdir?: string | undefined;
  /** Whom commands run as: a name, `uid` or `uid:gid` of the sandbox; 1000 alone under `restricted`. */
  user?: string | undefined;
  /** Mebibytes, 16 or more. */
  disk_mb?: number | undefined;
  /** Default: the server's. */
  security?: "default" | "restricted" | undefined;
  /** As before `network`: `none`, or `bridge` for what it calls `public`. */
  network_mode?: string | undefined;
  /** What it may reach; whatever the server permits where absent. */
  network?: NetworkPolicy | undefined;
  /**
   * `NAME@api.example.com:443`, or `NAME` for every host that the secret may be sent to: the variable NAME gets a placeholder, and HTTPS requests to
   * that host carry the secret in its place.
   */
  secrets?: string[] | undefined;
  /** Names and values that lists filter by, with the rules of Kubernetes' labels. */
  labels?: Record<string, string> | undefined;
  /** A DNS label, unique among the living sandboxes of one owner. */
  name?: string | undefined;
  /** What a name that is taken means: `fail` with code `CONFLICT`, or `get` the sandbox that has it, as it is. */
  if_exists?: "fail" | "get" | undefined;
}

/** What a spawn asks for; what is left out takes the server's default. */
export interface SpawnOptions extends SandboxSpec {
  /** Default `alpine:latest`. */
  image?: string | undefined;
  provider?: string | undefined;
  /** Mebibytes. */
  memory_mb?: number | undefined;
  vcpus?: number | undefined;
  /** Go duration such as `30m` or `1h30m`. */
  ttl?: string | undefined;
  owner_id?: string | undefined;
  /** Name of a template whose values fill in what is left out. */
  template?: string | undefined;
}

export type SandboxConfig = SpawnOptions;

export interface SpawnAdmissionDecision {
  allowed: boolean;
  queueable: boolean;
  reason?: string;
  active_sandboxes: number;
  /** 0: no limit. */
  max_sandboxes: number;
  active_owner_sandboxes?: number;
  max_owner_sandboxes?: number;
  /** Go duration. */
  max_ttl?: string;
}

export interface ExecResult {
  /** 128 + n after death by signal n. */
  exit_code: number;
  /** Bytes that are no UTF-8 stand as U+FFFD. */
  stdout: string;
  stderr: string;
  /** Go duration. */
  duration: string;
  /** Absent from servers that can't tell. */
  timed_out?: boolean;
  /** Output beyond the bound was dropped; the head is here. */
  truncated?: boolean;
}

export interface StreamChunk {
  /** `stdout` or `stderr`. */
  stream: string;
  data: string;
}

/** How a process ended. */
export interface ProcessExit {
  /** 128 + n after death by signal n. */
  exit_code: number;
  /** The signal's number; absent where none ended it. */
  signal?: number;
  timed_out: boolean;
  /** Processes that it started lived on. */
  background: boolean;
  /** Go duration. */
  duration: string;
}

export interface ProcessInfo {
  id: string;
  /** Inside the sandbox; given again after the end. 0: it never started. */
  pid: number;
  argv: string[];
  workdir: string;
  user: string;
  tag?: string;
  /** `background`: the command has exited, what it started lives on. */
  state: "running" | "background" | "exited";
  exit?: ProcessExit;
  pty: boolean;
  stdin_open: boolean;
  /** RFC 3339. */
  started_at: string;
  /** RFC 3339. */
  ended_at?: string;
  /** Of the oldest byte of output that can be replayed, and of the next one to come. */
  first_offset: number;
  next_offset: number;
  /** Living ones in its tree, itself included. */
  processes: number;
  cpu_ms: number;
  memory_bytes: number;
  /** Living members of its tree, itself included; not told in a list. */
  children?: { pid: number; parent_pid: number; name: string; cpu_ms: number; memory_bytes: number }[];
}

export type SignalName =
  | "SIGHUP"
  | "SIGINT"
  | "SIGQUIT"
  | "SIGABRT"
  | "SIGKILL"
  | "SIGUSR1"
  | "SIGUSR2"
  | "SIGALRM"
  | "SIGTERM"
  | "SIGCHLD"
  | "SIGCONT"
  | "SIGSTOP"
  | "SIGTSTP"
  | "SIGTTIN"
  | "SIGTTOU"
  | "SIGWINCH";

export interface FileInfo {
  path: string;
  /** Bytes. */
  size: number;
  is_dir: boolean;
  /** RFC 3339. */
  mod_time: string;
  /** Octal digits, for example `0644`. */
  mode: string;
}

export interface ListeningPort {
  port: number;
  /** Inside the sandbox. */
  address: string;
  pid?: number;
  command?: string;
}

export interface SandboxStats {
  supported: boolean;
  cpu_pct?: number;
  mem_bytes?: number;
  mem_limit_bytes?: number;
}

export interface Template {
  name: string;
  image: string;
  version?: number;
  description?: string;
  memory_mb?: number;
  vcpus?: number;
  cpu_cores?: number;
  /** Go duration. */
  ttl?: string;
  ttl_seconds?: number;
  provider?: string;
  metadata?: Record<string, string>;
  setup?: string[];
  allowed_hosts?: string[];
  env?: Record<string, string>;
  pool_size?: number;
  created_at?: string;
  updated_at?: string;
}

export interface TemplateConfig {
  name: string;
  image: string;
  description?: string | undefined;
  memory_mb?: number | undefined;
  vcpus?: number | undefined;
  /** Go duration. */
  ttl?: string | undefined;
  provider?: string | undefined;
  metadata?: Record<string, string> | undefined;
}

export interface TemplateSpawnOverrides extends SandboxSpec {
  provider?: string | undefined;
  /** Go duration. */
  ttl?: string | undefined;
}

export interface ProviderInfo {
  name: string;
  healthy: boolean;
  default: boolean;
  latency_ms?: number;
  last_checked?: string;
  error?: string;
  capabilities?: string[];
  runtime_count?: number;
  /** Why it was, or wasn't, chosen for sandboxes that name no provider, as things stood at the server's start. */
  default_reason?: string;
  /** Strength of the wall, weakest first. */
  isolation?: "none" | "userspace" | "container" | "kernel" | "microvm";
  /** Component to version. */
  versions?: Record<string, string>;
  /** What is enforced on that host, not only asked for. */
  limits?: ProviderLimits;
  security_profiles?: { name: "default" | "restricted"; offered: boolean; remedy?: string }[];
  networks?: ("none" | "egress" | "bridge" | "host")[];
  /** Of `egress`, where it is offered. */
  egress_level?: "transparent" | "proxy";
  /** What keeps it from being healthy, and the command or setting that would help. */
  missing?: ProviderRemark[];
  /** What is wrong although it serves, such as a runtime with known holes. */
  warnings?: ProviderRemark[];
}

export interface ProviderLimits {
  memory: boolean;
  cpu: boolean;
  pids: boolean;
  disk: boolean;
  /** How a deadline finds the processes of a command; `best-effort` may miss one that hides. */
  tree_kill: "cgroup" | "pid-namespace" | "best-effort";
}

export interface ProviderRemark {
  what: string;
  remedy?: string;
}

export interface VMPoolStatus {
  enabled: boolean;
  vms?: number;
  max_vms?: number;
  total_users?: number;
  max_users_per_vm?: number;
}

export interface QuotaSummary {
  total: number;
  with_max_sandboxes: number;
  with_max_ttl: number;
  with_max_exec_timeout: number;
}

/** An owner's limits; `0` and `0s` inherit the server's. */
export interface OwnerQuota {
  owner_id: string;
  max_sandboxes: number;
  max_ttl: string;
  max_exec_timeout: string;
  created_at: string;
  updated_at: string;
}

/** Replaces the owner's limits as a whole. */
export interface QuotaLimits {
  max_sandboxes?: number | undefined;
  max_ttl?: string | undefined;
  max_exec_timeout?: string | undefined;
}

export interface QuotaUsage {
  owner_id: string;
  active_sandboxes: number;
  max_sandboxes: number;
  max_ttl: string;
  max_exec_timeout: string;
  quota_configured: boolean;
}

/** What a named key may be. */
export type ApiKeyRole = "viewer" | "api" | "operator" | "tenant_admin" | "admin";

/** A named key without the key itself. */
export interface ApiKey {
  id: string;
  name: string;
  /** The key's first characters. */
  prefix: string;
  role: ApiKeyRole;
  tenant_id?: string;
  /** Its holder sees this project of the tenant alone. */
  project_id?: string;
  created_by: string;
  /** RFC 3339, as those below. */
  created_at: string;
  /** Absent: it counts until it is revoked. */
  expires_at?: string;
  last_used_at?: string;
  revoked_at?: string;
}

export interface ApiKeyOptions {
  /** Default `api`. */
  role?: ApiKeyRole | undefined;
  /** Its holder is of this tenant, whatever X-Tenant-ID says. */
  tenant_id?: string | undefined;
  /** And sees this project of it alone. */
  project_id?: string | undefined;
  /** Go duration; without one it counts until it is revoked. */
  ttl?: string | undefined;
}

export interface CreatedApiKey {
  api_key: ApiKey;
  /** Told this once. */
  key: string;
}

/** A company, team or customer: everything in it is its own. */
export interface Tenant {
  id: string;
  name: string;
  owner_id: string;
  /** The JSON that was given, as text. */
  settings: string;
  /** RFC 3339, as those below. */
  created_at: string;
  updated_at: string;
  /** Since then it is being deleted: nothing new is made in it. */
  deleting_at?: string;
}

export interface TenantOptions {
  /** Letters, digits, dot, `_` and `-`; `tenant-` and 8 hex digits where absent. */
  id?: string | undefined;
  owner_id?: string | undefined;
  /** Any JSON, up to 65,536 characters as text. */
  settings?: unknown;
}

export interface TenantChangeOptions {
  name?: string | undefined;
  owner_id?: string | undefined;
  /** Any JSON, up to 65,536 characters as text; in place of all there was. */
  settings?: unknown;
}

/** A wall inside a tenant. */
export interface Project {
  tenant_id: string;
  id: string;
  name: string;
  /** RFC 3339, as the one below. */
  created_at: string;
  updated_at: string;
}

export interface ProjectOptions {
  /** Letters, digits, dot, `_` and `-`; `project-` and 8 hex digits where absent. */
  id?: string | undefined;
}

/** What a member may be; an `admin` administers the tenant, or the project. */
export type MemberRole = "viewer" | "operator" | "admin";

/** Somebody's role in a tenant or a project. */
export interface Member {
  tenant_id: string;
  /** Absent: in the whole tenant. */
  project_id?: string;
  /** The subject of the issuer's tokens. */
  user_id: string;
  issuer?: string;
  role: string;
  /** RFC 3339, as the one below. */
  created_at: string;
  updated_at: string;
}

export interface MemberOptions {
  /** In that project alone; absent: in the whole tenant. */
  project_id?: string | undefined;
  /** Whose subject it is; the server's configured issuer where absent. */
  issuer?: string | undefined;
}

/** The caller's own place. */
export interface OwnTenant {
  tenant: Tenant;
  /** Absent: in the whole tenant. */
  project_id?: string;
  role: string;
}

/** That a tenant has a credential for a registry, and whose. */
export interface RegistryCredential {
  registry: string;
  username: string;
  created_by: string;
  /** RFC 3339. */
  created_at: string;
}

/** The settings that may change while the server runs. */
export interface LiveSettings {
  /** By their path, such as `defaults.max_ttl`; durations are Go's, such as `24h0m0s`. */
  settings: Record<string, string | number | boolean>;
  /** Paths of those that differ from what the server was started with. */
  changed: string[];
  /** Until when a change counts; absent where nothing was changed. */
  message?: string;
}

/** What a server tells of a secret: everything but its value. */
export interface StoredSecret {
  name: string;
  /** From 1; counts up each time that a value is set. */
  version: number;
  /** `host:port`; it is sent to no other. */
  hosts: string[];
  /** Whose sandboxes may use it; empty: everybody's of its place. */
  owners: string[];
  created_by: string;
  /** RFC 3339, as those below. */
  created_at: string;
  /** When this version was set. */
  updated_at: string;
  /** Absent before the first use. */
  last_used_at?: string;
}

export interface SecretOptions {
  /** `host` or `host:port` (443 where none is written), exact names, 1 to 16: it is sent to no other. */
  hosts: string[];
  /** Whose sandboxes may use it; absent or empty: everybody's of its place. */
  owners?: string[] | undefined;
}

export interface SecretRotation {
  /** How many are under the server's current key now that were not. */
  resealed: number;
  /** How many none of the server's keys opens; they stay as they are. */
  kept: number;
}

/** Who asks, as the server sees it. */
export interface Caller {
  role: "anonymous" | "viewer" | "api" | "operator" | "tenant_admin" | "admin";
  by: "session" | "key" | "token";
  owner_id?: string;
  tenant_id?: string;
  /** RFC 3339; absent: the credential isn't known to end. */
  expires_at?: string;
}

/** Who asks, and how one logs in. */
export interface SessionState {
  credential_needed: boolean;
  key_login: boolean;
  issuer_login_url?: string;
  program_login?: { issuer: string; client_id: string; scopes: string[]; parameters: Record<string, string> };
  /** Absent without a credential that counts. */
  caller?: Caller;
}

export interface HealthInfo {
  status: string;
  /** Absent for callers without a credential, where the server has any configured. */
  version?: string;
  /** Go duration. */
  uptime: string;
  /** Present when the server answers anybody on a reachable address. */
  insecure?: true;
  /** Why new sandboxes are refused, where `status` is `degraded`. */
  degraded?: string[];
}

/** Something that happened on the server, for example `sandbox.created`. */
export interface StacyVMEvent {
  id: string;
  type: string;
  sandbox_id?: string;
  timestamp: string;
  data?: Record<string, unknown>;
}

/** The body of every failure. */
export interface ApiErrorBody {
  code: string;
  message: string;
  reason?: string;
  request_id?: string;
  remediation?: string;
  details?: Record<string, unknown>;
}
