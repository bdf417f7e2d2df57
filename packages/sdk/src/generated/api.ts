// Generated from the operation table by npm run generate; edit the table instead.

export interface AdmissionDecision {
  allowed: boolean;
  queueable: boolean;
  reason?: "max_ttl" | "worker_unavailable" | "max_sandboxes" | "max_sandboxes_per_owner" | "host_disk_low";
  active_sandboxes: number;
  max_sandboxes: number;
  active_owner_sandboxes?: number;
  max_owner_sandboxes?: number;
  /** Go duration, for example 1h0m0s or 12.3ms. */
  max_ttl?: string;
}

export interface ApiKey {
  id: string;
  name: string;
  /** The key's first characters. */
  prefix: string;
  role: "viewer" | "api" | "operator" | "tenant_admin" | "admin";
  tenant_id?: string;
  project_id?: string;
  /** Who made it for themself: it is worth no more than they are. */
  member?: string;
  created_by: string;
  /** RFC 3339. */
  created_at: string;
  /** Absent: it counts until it is revoked. */
  expires_at?: string;
  /** To the minute; absent before the first use. */
  last_used_at?: string;
  /** RFC 3339. */
  revoked_at?: string;
}

export interface ApiKeyRequest {
  /** What it is for. */
  name: string;
  /** api where absent. */
  role?: "viewer" | "api" | "operator" | "tenant_admin" | "admin";
  /** Its holder is of this tenant, whatever X-Tenant-ID says. */
  tenant_id?: string;
  /** And sees this project of it alone. */
  project_id?: string;
  /** Go duration; absent: until it is revoked. */
  ttl?: string;
}

export interface BeginUploadRequest {
  path: string;
  /** Octal digits, for example 0644. */
  mode?: string;
  /** Bytes that will come; more are refused, and so is a commit before. */
  size?: number;
}

export interface Caller {
  role: "anonymous" | "viewer" | "api" | "operator" | "tenant_admin" | "admin";
  /** What the request was let in by. */
  by: "session" | "key" | "token";
  owner_id?: string;
  tenant_id?: string;
  /** When the credential or session ends; absent: not known to. */
  expires_at?: string;
}

export interface ChmodFileRequest {
  path?: string;
  /** Octal digits, for example 0644. */
  mode?: string;
}

export interface CommitUploadRequest {
  /** Of the whole file; compared where it is given. */
  checksum?: string;
}

/** Settings by their path, or nested as in the configuration file. */
export type ConfigUpdate = Record<string, unknown>;

export interface CreatedApiKey {
  api_key: ApiKey;
  /** Shown here and never again. */
  key: string;
}

export interface DiskFigures {
  /** The disk below each of the server's directories; they may be one. */
  disks: ({
    use: "data" | "images" | "sandboxes";
    total_bytes: number;
    free_bytes: number;
    /** Below it spawns and pulls are refused (disk.min_free). */
    floor_bytes: number;
    low: boolean;
  })[];
  /** What all stored images take. */
  images_bytes: number;
}

/** What went wrong, whose turn it is, and what would help. */
export interface ErrorBody {
  code: "BAD_REQUEST" | "RESOURCE_LIMIT" | "TIMEOUT" | "NOT_FOUND" | "UNAUTHORIZED" | "FORBIDDEN" | "CONFLICT" | "UNAVAILABLE" | "INTERNAL_ERROR";
  message: string;
  reason: "invalid_body" | "invalid_input" | "payload_too_large" | "headers_too_large" | "request_timeout" | "upgrade_required" | "worker_not_found" | "unauthenticated" | "admin_key_required" | "permission_denied" | "foreign_origin" | "policy_denied" | "misdirected_host" | "sandbox_not_found" | "sandbox_destroyed" | "provider_not_found" | "template_not_found" | "quota_not_found" | "image_not_found" | "route_not_found" | "already_exists" | "idempotency_key_reused" | "state_conflict" | "lease_lost" | "ttl_above_max" | "timeout_above_max" | "tenant_not_found" | "project_not_found" | "member_not_found" | "registry_credential_not_found" | "secrets_key_missing" | "secret_not_found" | "too_many_secrets" | "secret_unreadable" | "tenant_ambiguous" | "not_a_member" | "tenant_in_use" | "key_not_found" | "credentials_not_configured" | "session_not_found" | "login_not_offered" | "login_failed" | "rate_limited" | "sandboxes_exhausted" | "owner_sandboxes_exhausted" | "spawn_queue_full" | "spawn_queue_timeout" | "provider_unavailable" | "image_pull_failed" | "host_disk_low" | "spawn_failed" | "store_unavailable" | "worker_tokens_unavailable" | "issuer_unavailable" | "shutting_down" | "not_supported" | "internal" | "path_required" | "not_a_file" | "not_a_directory" | "directory_needs_recursive" | "archive_invalid" | "range_not_satisfiable" | "precondition_failed" | "link_refused" | "port_refused" | "port_protocol" | "port_timeout" | "file_permission_denied" | "file_not_found" | "process_not_found" | "process_state_conflict" | "stdin_full" | "upload_not_found" | "upload_conflict" | "checksum_mismatch" | "exec_timeout" | "sandbox_limit" | "disk_full" | "guest_unreachable" | "guest_protocol";
  request_id: string;
  remediation?: string;
  details?: Record<string, unknown>;
}

export interface ExecLine {
  stream: "stdout" | "stderr" | "exit";
  data: string;
  exit_code?: number;
  timed_out?: boolean;
  truncated?: boolean;
  error?: string;
}

export interface ExecRequest {
  command?: string;
  args?: string[];
  /** shell (the default) or argv. */
  mode?: string;
  env?: Record<string, string>;
  workdir?: string;
  /** Go duration, for example 90s, 10m or 1h30m. */
  timeout?: string;
  stream?: boolean;
  user?: string;
  stdin?: string;
  /** Both streams together; the head is kept. 0 or absent: 16 MiB. */
  max_output_bytes?: number;
}

export interface ExecResult {
  exit_code: number;
  stdout: string;
  stderr: string;
  /** Go duration, for example 1h0m0s or 12.3ms. */
  duration: string;
  timed_out: boolean;
  truncated: boolean;
}

export interface ExtendRequest {
  /** Go duration, for example 90s, 10m or 1h30m. */
  ttl?: string;
}

export interface FileInfo {
  path: string;
  size: number;
  mode: string;
  is_dir: boolean;
  mod_time: string;
}

export interface FileLink {
  /** Below server.public_url; a path on this server where that is not set. */
  url: string;
  /** RFC 3339. */
  expires_at: string;
}

export interface FolderEvent {
  /** live: first; what follows is told. overflow (changes were lost) and gone are the last. */
  type: "live" | "created" | "written" | "removed" | "renamed" | "mode_changed" | "overflow" | "gone";
  /** Absolute. Of a rename the old one; the new one is created. */
  path?: string;
}

export interface Health {
  status: "ok" | "degraded";
  /** Go duration, for example 1h0m0s or 12.3ms. */
  uptime: string;
  /** Only for callers with a credential, where any is configured. */
  version?: string;
  /** Present when the server was started with --insecure. */
  insecure?: true;
  /** What new sandboxes are refused for, with that reason; not told to strangers. */
  degraded?: "host_disk_low"[];
}

export interface InjectRule {
  /** A name with an optional port, 443 where there is none. */
  host: string;
  header: string;
  /** Name of a secret that may be sent to this host. */
  secret: string;
  /** What the header says, `{secret}` standing for the secret. Default `{secret}` alone. */
  value?: string;
}

export interface ListeningPort {
  port: number;
  /** Inside the sandbox; 127.0.0.1 is reached as well. */
  address: string;
  pid?: number;
  command?: string;
}

export interface LiveConfig {
  /** Setting to value, for example `defaults.max_ttl` to `24h0m0s`. */
  settings: Record<string, unknown>;
  /** Those that differ from what the server was started with. */
  changed: string[];
}

export interface Liveness {
  status: "alive";
  /** Go duration, for example 1h0m0s or 12.3ms. */
  uptime: string;
  /** Only for callers with a credential, where any is configured. */
  version?: string;
  /** Present when the server was started with --insecure. */
  insecure?: true;
}

export interface MadeFolder {
  status: "made";
  /** false: the directory was there already and is left as it was. */
  created: boolean;
}

export interface MakeFolderRequest {
  path: string;
  /** Octal digits of a directory that is made; 0755 where absent. */
  mode?: string;
  /** Makes missing parents too. */
  parents?: boolean;
}

export interface Member {
  tenant_id: string;
  /** Absent: in the whole tenant. */
  project_id?: string;
  /** The subject of the issuer's tokens. */
  user_id: string;
  issuer?: string;
  role: string;
  /** RFC 3339. */
  created_at: string;
  /** RFC 3339. */
  updated_at: string;
}

export interface MemberRequest {
  /** viewer, operator, or admin, who administers the tenant. */
  role?: string;
  /** In that project alone; absent: in the whole tenant. */
  project_id?: string;
  /** Whose subject it is; the configured issuer where absent. */
  issuer?: string;
}

export interface Metrics {
  /** Go duration, for example 1h0m0s or 12.3ms. */
  uptime: string;
  /** Kept for old clients: active resources of the event loop. */
  goroutines: number;
  memory_alloc: number;
  memory_sys: number;
  memory_heap_alloc: number;
  gc_cycles: number;
  sandboxes: {
    total: number;
    active: number;
    by_state: Record<string, number>;
    by_provider: Record<string, number>;
    by_worker: Record<string, number>;
  };
  providers: {
    total: number;
    healthy: number;
    items: ProviderHealth[];
  };
  workers: {
    total: number;
    online: number;
    stale: number;
    unhealthy: number;
    items: Worker[];
  };
  leases: {
    total: number;
    active: number;
    expired: number;
    by_holder: Record<string, number>;
  };
  events: {
    subscribers: number;
    history_size: number;
    events_total: number;
  };
  operations: OperationMetrics[];
  scheduler: Record<string, unknown>;
  quotas: QuotaSummary;
  rate_limit: {
    enabled: boolean;
    requests_per_minute: number;
    burst: number;
    key_by: string;
    active_buckets: number;
    allowed_total: number;
    limited_total: number;
    evicted_total: number;
    /** Go duration, for example 1h0m0s or 12.3ms. */
    bucket_ttl: string;
    /** Go duration, for example 1h0m0s or 12.3ms. */
    cleanup_interval: string;
  };
  disk: DiskFigures;
  /** Outbound connections of all sandboxes since the gateway started. */
  network: {
    gateway_up: boolean;
    open: number;
    allowed: number;
    denied: number;
    failed: number;
    /** Bytes out of sandboxes. */
    sent: number;
    received: number;
  };
}

export interface MoveFileRequest {
  old_path?: string;
  new_path?: string;
}

export interface Network {
  mode: "none" | "public" | "allowlist";
  allow: string[];
  deny: string[];
  inject: {
    host: string;
    header: string;
    secret: string;
    value: string;
  }[];
  /** transparent: every TCP connection and every name goes through the gateway. proxy: what programs ask of the HTTP proxy inside does; programs that don't read its variables (HTTPS_PROXY and so on) reach nothing. */
  level: "none" | "transparent" | "proxy";
  /** The operator's policy: what it does not permit, no sandbox may reach. */
  server: {
    mode: "none" | "public" | "allowlist";
    allow: string[];
    deny: string[];
    inject: {
      host: string;
      header: string;
      secret: string;
      value: string;
    }[];
  };
  /** Since the gateway started; absent where there is none. */
  counts?: {
    open: number;
    allowed: number;
    denied: number;
    failed: number;
    /** Bytes out of the sandbox. */
    sent: number;
    received: number;
  };
  /** Connections that the change ended. */
  cut?: number;
}

export interface NetworkDecision {
  /** RFC 3339. */
  at: string;
  /** closed: how a connection ended. missed: more than were told. live: what follows is new. */
  type: "decision" | "closed" | "missed" | "live";
  /** Joins a connection's decision and its end. */
  flow?: number;
  kind?: "connect" | "resolve" | "query" | "request" | "response";
  host?: string;
  /** What was dialled, or would have been. */
  address?: string;
  port?: number;
  /** masked: an answer held a secret, and stars came in its place. */
  decision?: "allowed" | "denied" | "failed" | "masked";
  reason?: string;
  rule?: string;
  /** Whose rule or mode it was: server or sandbox. */
  policy?: string;
  method?: string;
  /** Of a request, without its query. */
  path?: string;
  /** Names of secrets that were put in, or masked. */
  secrets?: string[];
  sent?: number;
  received?: number;
  count?: number;
}

export interface NetworkPolicy {
  /** `public`: the Internet over TCP. `allowlist`: what a rule allows. */
  mode: "none" | "public" | "allowlist";
  /** `api.example.com:443`, `*.example.com`, `203.0.113.0/24:80,8000-8100`, `[2001:db8::/32]:443`; of hosts whose HTTP requests are looked into also `inspect api.example.com`, `GET,HEAD api.example.com:443`, `POST api.example.com/v1/*`. */
  allow?: string[];
  /** `api.example.com:443`, `*.example.com`, `203.0.113.0/24:80,8000-8100`, `[2001:db8::/32]:443`; of hosts whose HTTP requests are looked into also `inspect api.example.com`, `GET,HEAD api.example.com:443`, `POST api.example.com/v1/*`. */
  deny?: string[];
  /** Headers that HTTPS requests get on their way out: the sandbox sees neither them nor their values. */
  inject?: InjectRule[];
}

export interface OperationMetrics {
  operation: string;
  provider: string;
  success_total: number;
  failure_total: number;
  latency_count: number;
  latency_total_ms: number;
  latency_min_ms: number;
  latency_max_ms: number;
  latency_avg_ms: number;
  last_error?: string;
  last_observed_unix?: number;
}

export interface OwnApiKeyRequest {
  /** What it is for. */
  name: string;
  /** api where absent. */
  role?: "viewer" | "api" | "operator" | "tenant_admin" | "admin";
  /** And sees this project of it alone. */
  project_id?: string;
  /** Go duration; absent: until it is revoked. */
  ttl?: string;
}

export interface OwnTenant {
  tenant: Tenant;
  /** Absent: in the whole tenant. */
  project_id?: string;
  role: string;
}

export interface OwnerQuota {
  owner_id: string;
  max_sandboxes: number;
  /** Go duration, for example 1h0m0s or 12.3ms. */
  max_ttl: string;
  /** Go duration, for example 1h0m0s or 12.3ms. */
  max_exec_timeout: string;
  /** RFC 3339. */
  created_at: string;
  /** RFC 3339. */
  updated_at: string;
}

export interface PoolStatus {
  enabled: boolean;
  vms?: number;
  max_vms?: number;
  total_users?: number;
  max_users_per_vm?: number;
}

export interface Process {
  id: string;
  /** Inside the sandbox; given again after the end. 0: never started. */
  pid: number;
  /** In a list and after the end only the first 4 KiB; a cut argument ends with …. */
  argv: string[];
  workdir: string;
  user: string;
  tag?: string;
  /** background: the command has exited, processes that it started live on. */
  state: "running" | "background" | "exited";
  exit?: ProcessExit;
  pty: boolean;
  stdin_open: boolean;
  /** RFC 3339. */
  started_at: string;
  /** RFC 3339. */
  ended_at?: string;
  /** Of the oldest byte of output that can still be replayed. */
  first_offset: number;
  /** Of the next byte of output. */
  next_offset: number;
  /** Living ones in its tree, itself included. */
  processes: number;
  cpu_ms: number;
  memory_bytes: number;
  /** Living members of its tree, itself included; not told in a list. */
  children?: {
    pid: number;
    parent_pid: number;
    name: string;
    cpu_ms: number;
    memory_bytes: number;
  }[];
}

export interface ProcessEvent {
  type: "output" | "gap" | "live" | "exit";
  stream?: "stdout" | "stderr" | "pty";
  /** output, gap, live: of the first byte. */
  offset?: number;
  /** gap: the first byte after what is lost. */
  until?: number;
  encoding?: "base64";
  data?: string;
  exit?: ProcessExit;
}

export interface ProcessExit {
  /** 128 and its number after death by a signal. */
  exit_code: number;
  /** The signal's number; absent where none ended it. */
  signal?: number;
  timed_out: boolean;
  /** Processes that it started lived on. */
  background: boolean;
  /** Go duration, for example 1h0m0s or 12.3ms. */
  duration: string;
}

export interface Project {
  tenant_id: string;
  id: string;
  name: string;
  /** RFC 3339. */
  created_at: string;
  /** RFC 3339. */
  updated_at: string;
}

export interface ProjectRequest {
  /** `project-` and 8 hex digits where absent. */
  id?: string;
  name: string;
}

export interface ProviderDetail {
  name: string;
  healthy: boolean;
  default: boolean;
  sandbox_count: number;
  health: ProviderReport;
  config: Record<string, string>;
  disk: {
    /** The disk below each of the server's directories; they may be one. */
    disks: ({
      use: "data" | "images" | "sandboxes";
      total_bytes: number;
      free_bytes: number;
      /** Below it spawns and pulls are refused (disk.min_free). */
      floor_bytes: number;
      low: boolean;
    })[];
    /** What all stored images take. */
    images_bytes: number;
    /** The disks of this provider's sandboxes if each were filled, where it bounds them. */
    sandboxes_promised_bytes: number;
  };
}

export interface ProviderHealth {
  name: string;
  healthy: boolean;
  default: boolean;
  latency_ms: number;
  last_checked: string;
  /** What is missing, and what would help. */
  error?: string;
  capabilities: string[];
  runtime_count?: number;
}

export interface ProviderReport {
  name: string;
  healthy: boolean;
  default: boolean;
  latency_ms: number;
  last_checked: string;
  /** What is missing, and what would help. */
  error?: string;
  capabilities: string[];
  runtime_count?: number;
  /** Why it was, or wasn't, chosen for sandboxes that name no provider, as things stood at the server's start. */
  default_reason: string;
  /** Strength of the wall, weakest first. */
  isolation: "none" | "userspace" | "container" | "kernel" | "microvm";
  /** Component to version. */
  versions: Record<string, string>;
  /** What is enforced here, not only asked for. */
  limits: {
    memory: boolean;
    cpu: boolean;
    pids: boolean;
    disk: boolean;
    /** How a deadline finds the processes of a command; `best-effort` may miss one that hides. */
    tree_kill: "cgroup" | "pid-namespace" | "best-effort";
  };
  security_profiles: ({
    name: "default" | "restricted";
    offered: boolean;
    /** What of the host would have to change. */
    remedy?: string;
  })[];
  networks: ("none" | "egress" | "bridge" | "host")[];
  /** Of egress, where it is offered: what Network.level will be. */
  egress_level?: "transparent" | "proxy";
  /** What keeps it from being healthy here. */
  missing: {
    what: string;
    /** The command or setting that would add it. */
    remedy?: string;
  }[];
  /** What is wrong although it serves, such as a runtime with known holes. */
  warnings: {
    what: string;
    /** The command or setting that would add it. */
    remedy?: string;
  }[];
}

export type ProviderTest = Record<string, boolean>;

export interface QuotaRequest {
  /** 0 or absent: the default applies. */
  max_sandboxes?: number;
  /** Go duration, for example 90s, 10m or 1h30m. */
  max_ttl?: string;
  /** Go duration, for example 90s, 10m or 1h30m. */
  max_exec_timeout?: string;
}

export interface QuotaSummary {
  total: number;
  with_max_sandboxes: number;
  with_max_ttl: number;
  with_max_exec_timeout: number;
}

export interface QuotaUsage {
  owner_id: string;
  active_sandboxes: number;
  max_sandboxes: number;
  /** Go duration, for example 1h0m0s or 12.3ms. */
  max_ttl: string;
  /** Go duration, for example 1h0m0s or 12.3ms. */
  max_exec_timeout: string;
  quota_configured: boolean;
}

export interface Readiness {
  status: "ready" | "not_ready";
  /** Go duration, for example 1h0m0s or 12.3ms. */
  uptime: string;
  version?: string;
  /** Empty for callers without a credential, where any is configured. */
  providers: ProviderHealth[];
  ready_providers: number;
  total_providers: number;
}

export interface RegistryCredential {
  registry: string;
  username: string;
  created_by: string;
  /** RFC 3339. */
  created_at: string;
}

export interface RegistryCredentialRequest {
  username: string;
  /** A password or token. It is kept encrypted, and shown to nobody but the registry. */
  password: string;
}

/** The keys from `name` on only where `view=full` was asked for. */
export interface Sandbox {
  id: string;
  state: "creating" | "running" | "idle" | "unhealthy" | "expired" | "error" | "destroying" | "destroyed" | "stopped" | "paused" | "restarting" | "unknown";
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
  preview_domain?: string;
  project_id?: string;
  name?: string;
  labels?: Record<string, string>;
  env_names?: string[];
  workdir?: string;
  user?: string;
  disk_mb?: number;
  security?: string;
  network_mode?: string;
  /** Absent where no gateway decides. */
  network?: {
    mode: "none" | "public" | "allowlist";
    allow: string[];
    deny: string[];
    inject: {
      host: string;
      header: string;
      secret: string;
      value: string;
    }[];
  };
  /** Whose placeholders it has: `NAME@host:port`. */
  secrets?: string[];
}

export interface SandboxStats {
  supported: boolean;
  cpu_pct?: number;
  mem_bytes?: number;
  mem_limit_bytes?: number;
}

export interface SecretRequest {
  /** 1 to 32768 bytes of one line. It is kept encrypted, and answered to nobody. */
  value: string;
  /** `host` or `host:port` (443 where none is written), exact names: it is sent to no other. */
  hosts: string[];
  /** Whose sandboxes may use it; absent or empty: everybody's of the tenant or project. */
  owners?: string[];
}

export interface ServerEvent {
  id: string;
  type: string;
  sandbox_id?: string;
  /** RFC 3339. */
  timestamp: string;
  data?: Record<string, unknown>;
}

export interface SessionState {
  credential_needed: boolean;
  /** A key, or an issuer's token, begins a browser session by POST. */
  key_login: boolean;
  /** Where a browser goes to log in with the issuer; absent where it can't. */
  issuer_login_url?: string;
  /** How a program on a user's machine asks the issuer for a token: authorization code with PKCE. */
  program_login?: {
    issuer: string;
    client_id: string;
    scopes: string[];
    parameters: Record<string, string>;
  };
  /** Absent without a credential that counts. */
  caller?: Caller;
}

export interface SignFileRequest {
  operation: "read" | "write";
  path: string;
  /** Go duration from 1s to 168h0m0s; 1h0m0s where absent. The sandbox's end ends the link. */
  expires_in?: string;
}

export interface SignalProcessRequest {
  signal: "SIGHUP" | "SIGINT" | "SIGQUIT" | "SIGABRT" | "SIGKILL" | "SIGUSR1" | "SIGUSR2" | "SIGALRM" | "SIGTERM" | "SIGCHLD" | "SIGCONT" | "SIGSTOP" | "SIGTSTP" | "SIGTTIN" | "SIGTTOU" | "SIGWINCH";
  /** false: only the process itself. */
  tree?: boolean;
}

export interface Snapshot {
  image: string;
  provider: string;
  /** RFC 3339. */
  created_at: string;
}

export interface SpawnRequest {
  image?: string;
  provider?: string;
  memory_mb?: number;
  vcpus?: number;
  /** Go duration, for example 90s, 10m or 1h30m. */
  ttl?: string;
  template?: string;
  owner_id?: string;
  /** Ignored; the tenant is the caller's. */
  tenant_id?: string;
  metadata?: Record<string, string>;
  /** Environment of everything that is started in the sandbox. Values are never shown again. */
  env?: Record<string, string>;
  /** Where commands start; made where it is missing. Default /workspace. */
  workdir?: string;
  /** Whom commands run as: a name, uid or uid:gid of the sandbox. */
  user?: string;
  /** Mebibytes; the server's default where absent or 0. */
  disk_mb?: number;
  security?: "default" | "restricted";
  /** As old clients say it: `none`, or `bridge` for what `network` calls `public`. */
  network_mode?: string;
  network?: NetworkPolicy;
  /** `NAME@api.example.com:443`, or `NAME` for every host that the secret may be sent to: the variable NAME gets a placeholder, which HTTPS requests to that host carry the secret instead of. */
  secrets?: string[];
  /** Names and values that lists can filter by, with the rules of Kubernetes' labels. */
  labels?: Record<string, string>;
  /** DNS label; unique among the living sandboxes of one owner. */
  name?: string;
  /** What a taken name means: 409, or the sandbox that has it. */
  if_exists?: "fail" | "get";
}

export interface StartProcessRequest {
  command: string;
  args?: string[];
  /** shell (the default) or argv. */
  mode?: "shell" | "argv";
  env?: Record<string, string>;
  workdir?: string;
  user?: string;
  /** A name of the caller's own; several may share one. */
  tag?: string;
  /** Keeps stdin open for later input; without it, and without a terminal, stdin is empty. */
  stdin?: boolean;
  /** Gives the process a terminal of this size. */
  pty?: TerminalSize;
  /** Go duration after which the whole process tree is ended; none where absent. */
  timeout?: string;
}

export interface StoredSecret {
  name: string;
  /** From 1; counts up each time that a value is set. */
  version: number;
  /** `host:port`; it is sent to no other. */
  hosts: string[];
  /** Whose sandboxes may use it; empty: everybody's. */
  owners: string[];
  created_by: string;
  /** RFC 3339. */
  created_at: string;
  /** When this version was set. */
  updated_at: string;
  /** Absent before the first use. */
  last_used_at?: string;
}

export interface SystemStats {
  cpu_pct: number;
  mem_pct: number;
  disk_pct: number;
  net_rx_bps: number;
  net_tx_bps: number;
  load1: number;
}

export interface Template {
  name: string;
  version: number;
  image: string;
  description?: string;
  setup?: string[];
  allowed_hosts?: string[];
  memory_mb: number;
  cpu_cores: number;
  /** The same as cpu_cores. */
  vcpus: number;
  ttl_seconds: number;
  /** The same as ttl_seconds. */
  ttl: string;
  env?: Record<string, string>;
  secrets?: {
    name: string;
    inject_at: string;
  }[];
  pool_size: number;
  provider?: string;
  metadata?: Record<string, string>;
  /** RFC 3339. */
  created_at: string;
  /** RFC 3339. */
  updated_at: string;
}

export interface TemplateRequest {
  name?: string;
  version?: number;
  image?: string;
  description?: string;
  setup?: string[];
  allowed_hosts?: string[];
  memory_mb?: number;
  cpu_cores?: number;
  vcpus?: number;
  ttl_seconds?: number;
  /** Go duration, for example 90s, 10m or 1h30m. */
  ttl?: string;
  env?: Record<string, string>;
  secrets?: {
    name: string;
    inject_at?: string;
  }[];
  pool_size?: number;
  provider?: string;
  metadata?: Record<string, string>;
}

export interface TemplateSpawnRequest {
  provider?: string;
  /** Go duration, for example 90s, 10m or 1h30m. */
  ttl?: string;
  metadata?: Record<string, string>;
  /** Environment of everything that is started in the sandbox. Values are never shown again. */
  env?: Record<string, string>;
  /** Where commands start; made where it is missing. Default /workspace. */
  workdir?: string;
  /** Whom commands run as: a name, uid or uid:gid of the sandbox. */
  user?: string;
  /** Mebibytes; the server's default where absent or 0. */
  disk_mb?: number;
  security?: "default" | "restricted";
  /** As old clients say it: `none`, or `bridge` for what `network` calls `public`. */
  network_mode?: string;
  network?: NetworkPolicy;
  /** `NAME@api.example.com:443`, or `NAME` for every host that the secret may be sent to: the variable NAME gets a placeholder, which HTTPS requests to that host carry the secret instead of. */
  secrets?: string[];
  /** Names and values that lists can filter by, with the rules of Kubernetes' labels. */
  labels?: Record<string, string>;
  /** DNS label; unique among the living sandboxes of one owner. */
  name?: string;
  /** What a taken name means: 409, or the sandbox that has it. */
  if_exists?: "fail" | "get";
}

export interface Tenant {
  id: string;
  name: string;
  owner_id: string;
  /** The JSON that was given, as text. */
  settings: string;
  /** RFC 3339. */
  created_at: string;
  /** RFC 3339. */
  updated_at: string;
  /** Since then it is being deleted: nothing new is made in it. */
  deleting_at?: string;
}

export interface TenantChange {
  name?: string;
  owner_id?: string;
  /** Any JSON. */
  settings?: unknown;
}

export interface TenantRequest {
  /** `tenant-` and 8 hex digits where absent. */
  id?: string;
  name?: string;
  owner_id?: string;
  /** Any JSON. */
  settings?: unknown;
}

export interface TerminalSize {
  cols: number;
  rows: number;
}

export interface UnpackedArchive {
  status: "unpacked";
  /** Files, directories and links that were written. */
  entries: number;
  /** Content of the files. */
  bytes: number;
}

export interface Upload {
  upload_id: string;
  /** Bytes that have arrived; where the next ones go. */
  offset: number;
  /** As announced; absent where it wasn't. */
  size?: number;
  /** RFC 3339; every request that brings bytes moves it. */
  expires_at: string;
}

export interface Worker {
  id: string;
  hostname: string;
  status: string;
  providers: string[];
  capabilities: string[];
  capacity: Record<string, unknown>;
  last_heartbeat: string;
  created_at: string;
  updated_at: string;
  stale: boolean;
}

export interface WorkerToken {
  token: string;
  worker_id: string;
  /** RFC 3339. */
  expires_at: string;
}

export interface WorkerTokenRequest {
  worker_id?: string;
  /** Go duration up to 15m; 5m where absent. */
  ttl?: string;
  /** What it is for; every worker scope where absent. */
  scopes?: string[];
  /** worker:control-plane, the default, or worker:rpc. */
  audience?: string;
}

export interface WriteFileRequest {
  path?: string;
  content?: string;
  /** Octal digits, for example 0644. */
  mode?: string;
}
