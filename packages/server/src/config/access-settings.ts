import {
  choice,
  document,
  duration,
  flag,
  integer,
  list,
  map,
  optionalFlag,
  path,
  secret,
  secretList,
  secretMap,
  text,
} from "./kinds.ts";

export const auth = {
  enabled: optionalFlag("on where a credential is configured", "Whether requests need a credential."),
  apiKey: secret("Key for the API."),
  adminApiKey: secret("Key for administration; opens the rest of the API too."),
  workerToken: secret("Token shared by all workers."),
  workerTokens: secretMap("Token of each worker by its id."),
  workerSigningKey: secret("Key that signs workers' tokens."),
  workerSigningKeys: secretList("Further keys by which workers' tokens are accepted, during a rotation."),
  workerRevokedTokenIds: list([], "Ids of signed workers' tokens that are refused."),
  adminFallbackEnabled: flag(true, "Where no admin key is set, the API key opens administration."),
  adminAuditRetentionMs: duration(0, "How long the administration's audit is kept; 0s for ever."),
  oidcEnabled: flag(
    false,
    "Whether tokens of an OpenID Connect issuer are accepted; an issuer or a key source does so too.",
  ),
  oidcIssuer: text("", "The issuer, as tokens name it."),
  oidcAudience: text("", "The audience that tokens must name."),
  oidcJwksUrl: text("", "Address of the issuer's keys; empty asks the issuer's discovery document."),
  oidcPublicKey: document("The issuer's key as PEM."),
  oidcGroupsClaim: text("groups", "Claim that lists the caller's groups."),
  oidcTenantClaim: text("tenant_id", "Claim that names the caller's tenant."),
  oidcAdminGroups: list([], "Groups whose members are administrators."),
  oidcOperatorGroups: list([], "Groups whose members are operators."),
  oidcTenantAdminGroups: list([], "Groups whose members administer their own tenant."),
  oidcViewerGroups: list([], "Groups whose members may only look."),
  oidcDefaultRole: choice(
    "none",
    ["none", "viewer", "api", "operator"],
    "Role of a valid token whose groups give none; `none` lets it do nothing.",
  ),
  oidcClientId: text("", "The server's client at the issuer, with which browsers log in; empty: they can't."),
  oidcClientSecret: secret("That client's secret; empty for a client without one."),
  oidcCliClientId: text(
    "",
    "The issuer's public client for `stacyvm login`, which comes back to http://127.0.0.1 on any port; empty: keys alone.",
  ),
  oidcScopes: list(["openid", "profile", "email"], "Scopes that a login asks the issuer for."),
  oidcLoginParameters: map("Further parameters of a login at the issuer, such as `audience` or `resource`."),
  sessionIdleTimeoutMs: duration(3_600_000, "A browser's session that isn't used for so long ends.", {
    leastMs: 10_000,
  }),
  sessionAbsoluteTimeoutMs: duration(43_200_000, "A browser's session ends after so long, however much it is used.", {
    leastMs: 10_000,
  }),
  sessionsPerPerson: integer(10, "Most browser sessions of one person; a further one ends the oldest.", {
    least: 1,
    most: 1_000,
  }),
  oidcKeysKeptMs: duration(3_600_000, "How long the issuer's last keys count while it can't be asked.", {
    leastMs: 1_000,
  }),
} as const;

export const rateLimit = {
  enabled: flag(false, "Whether requests are limited by rate."),
  requestsPerMinute: integer(120, "Requests a minute of one caller."),
  burst: integer(60, "Requests at once of one caller."),
  keyBy: choice("owner", ["owner", "api_key", "ip"], "What makes a caller one."),
  bucketTtlMs: duration(900_000, "How long an idle caller is remembered."),
  cleanupIntervalMs: duration(60_000, "How often idle callers are forgotten."),
} as const;

export const database = {
  driver: choice("sqlite", ["sqlite", "postgres"], "The database; sqlite3 and postgresql are accepted too."),
  path: path("", "SQLite's file.", "<data_dir>/stacyvm.db"),
  dsn: secret("PostgreSQL's connection string."),
} as const;

export const defaults = {
  ttlMs: duration(1_800_000, "Life of a sandbox that names none.", { leastMs: 1_000 }),
  image: text("alpine:latest", "Image of a sandbox that names none."),
  memoryMb: integer(1_024, "Memory of a sandbox that names none, in MiB.", { least: 16 }),
  vcpus: integer(1, "Processors of a sandbox that names none.", { least: 1 }),
  diskSizeMb: integer(1_024, "Disk of a sandbox, in MiB, where the provider bounds it.", { least: 16 }),
  security: choice("default", ["default", "restricted"], "Security profile of a sandbox that names none."),
  poolSize: integer(0, "Sandboxes kept ready."),
  poolTemplate: text("", "Template of the sandboxes kept ready."),
  maxTtlMs: duration(86_400_000, "Longest life that may be asked for; 0s for any."),
  defaultExecTimeoutMs: duration(0, "Deadline of an exec that names none; 0s takes the maximum."),
  maxExecTimeoutMs: duration(600_000, "Longest exec deadline that may be asked for; 0s for any."),
  maxSandboxes: integer(0, "Most sandboxes; 0 for any number."),
  maxSandboxesPerOwner: integer(0, "Most sandboxes of one owner; 0 for any number."),
  spawnOverflow: choice("reject", ["reject", "queue"], "What happens to a spawn above a maximum."),
  spawnQueueTimeoutMs: duration(30_000, "How long a queued spawn waits; 0s takes the default."),
  maxSpawnQueue: integer(100, "Most spawns that wait; 0 takes the default."),
} as const;

export const worker = {
  id: text("", "The worker's id."),
  controlPlaneUrl: text("http://localhost:7423", "Address of the control plane."),
  listenAddr: text("", "Address on which the worker takes calls; empty takes none."),
  previewDomain: text("", "Domain under which the worker serves previews."),
  heartbeatIntervalMs: duration(30_000, "How often the worker reports.", { leastMs: 100 }),
  shutdownTimeoutMs: duration(10_000, "Time that running calls have to end at a shutdown."),
  rpcTls: {
    enabled: flag(false, "Mutual TLS between control plane and workers."),
    serverCertFile: path("", "The worker's certificate."),
    serverKeyFile: path("", "Its key."),
    clientCaFile: path("", "Authority of the control plane's certificate."),
    caFile: path("", "Authority of the workers' certificates."),
    clientCertFile: path("", "The control plane's certificate."),
    clientKeyFile: path("", "Its key."),
    serverName: text("", "Name that workers' certificates must carry, where it differs from the address."),
    insecureSkipVerify: flag(false, "Accepts any certificate. For experiments."),
  },
} as const;
