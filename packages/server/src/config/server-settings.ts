import {
  choice,
  duration,
  flag,
  freeFloor,
  integer,
  list,
  map,
  path,
  secret,
  secretList,
  secretMap,
  size,
  text,
} from "./kinds.ts";

const mib = 1024 * 1024;

export const server = {
  host: text("127.0.0.1", "Address to listen on. Any but a loopback address needs credentials."),
  port: integer(7423, "Port to listen on; 0 takes any free one.", { most: 65_535 }),
  mode: choice(
    "development",
    ["development", "production"],
    "What the server is run for; `production` refuses settings that are known to be bad (docs/production.md).",
  ),
  publicUrl: text(
    "",
    "The address under which browsers and clients reach the server, where it differs from host and port; asked once at start.",
  ),
  previewDomain: text("localhost", "Domain under which previews of sandboxes' ports are served."),
  trustedProxies: list(
    [],
    "Addresses and networks of our own proxies, whose X-Forwarded-For says where requests come from.",
  ),
  corsAllowedOrigins: list([], "Origins of web pages that may call the API; each http or https, without a path."),
  tls: {
    certFile: path(
      "",
      "The server's certificate as PEM, then those that lead to its authority; with it the port is TLS.",
    ),
    keyFile: path("", "Its private key as PEM, without a passphrase."),
  },
  secretsKey: secret(
    "Key that encrypts secrets in the database, tenants' registry credentials among them; the same on every server of it. In development, beside the embedded database, one is made in <data_dir>/secrets.key.",
  ),
  previousSecretsKeys: secretList(
    "Keys that open, and seal no more, what they encrypted, until `stacyvm secret rotate` has sealed it anew.",
  ),
  insecure: flag(
    false,
    "Permits a reachable address without credentials. Anybody who reaches it owns the host's sandboxes.",
  ),
} as const;

export const limits = {
  maxBodyBytes: size(mib, "Largest request body, where the operation names no other."),
  maxFileBodyBytes: size(64 * mib, "Largest file content inside a JSON request; raw uploads have no such bound."),
  maxHeadersBytes: size(16 * 1024, "Largest set of request headers."),
  maxUrlBytes: size(8 * 1024, "Longest request target."),
  maxJsonDepth: integer(32, "Deepest nesting of a JSON request.", { least: 1, most: 1_000 }),
  maxConnections: integer(4_096, "Open client connections.", { least: 1 }),
  maxWebsocketMessageBytes: size(mib, "Largest WebSocket message from a client."),
  maxExecOutputBytes: size(16 * mib, "Output kept of one exec where the request names no bound; the rest is drained."),
  maxPageSize: integer(500, "Most rows of one page of a list.", { least: 1, most: 10_000 }),
  headerTimeoutMs: duration(10_000, "Time for a client to send its headers.", { leastMs: 100 }),
  bodyTimeoutMs: duration(60_000, "Time a client may pause within a body.", { leastMs: 100 }),
  keepAliveTimeoutMs: duration(75_000, "Time an idle connection stays open.", { leastMs: 100 }),
  shutdownTimeoutMs: duration(20_000, "Time that running requests have to end at a shutdown."),
} as const;

export const dataDir = path(
  "",
  "Directory of everything kept on this host.",
  "/var/lib/stacyvm as root, else stacyvm in $XDG_DATA_HOME or ~/.local/share",
);

export const disk = {
  minFree: freeFloor(
    "2g,5%",
    "Free space of the host's disks below which spawns and pulls are refused; the lesser counts.",
  ),
} as const;

export const images = {
  aliases: map("Requested image names that stand for a local image."),
  storeDir: path("", "Directory of unpacked images.", "<data_dir>/images"),
  insecureRegistries: list([], "Registries, as host or host:port, spoken to in plain HTTP or with any certificate."),
  internalRegistries: list(
    [],
    "Registries, and hosts that they send askers to, on internal addresses that may be asked, over TLS.",
  ),
  registryCredentials: secretMap('Who asks a registry: `host` or `host:port` to "user:password".'),
  authFile: path("", "Registries' credentials as Docker or skopeo login write them, where none are given above."),
  httpProxy: secret("Proxy for pulls from registries in plain HTTP; may hold user and password."),
  httpsProxy: secret("Proxy for pulls from registries over TLS; may hold user and password."),
  noProxy: list([], "Hosts, domains and networks that pulls reach without a proxy; loopback addresses always are."),
  gc: {
    enabled: flag(false, "Removes pulled images by age and size; never imported or built ones, nor one that is used."),
    intervalMs: duration(3_600_000, "How often that is done.", { leastMs: 1_000 }),
    maxAgeMs: duration(30 * 86_400_000, "Longest time since the last use of an image; 0s is any."),
    maxSizeBytes: size(0, "Most that all images may take on the disk; 0 is any."),
    keep: list([], "Images that stay, beside the default one, aliases' targets and those of templates."),
  },
} as const;

export const leases = {
  ttlMs: duration(30_000, "How long a server owns a sandbox without renewing.", { leastMs: 1_000 }),
  renewIntervalMs: duration(10_000, "How often a server renews what it owns.", { leastMs: 100 }),
} as const;

export const reaper = {
  intervalMs: duration(5_000, "How often expired and stuck sandboxes are looked for.", { leastMs: 100 }),
} as const;

export const reconcile = {
  intervalMs: duration(
    5_000,
    "How often what providers run is compared with what the database knows, beside each time something ends.",
    { leastMs: 100 },
  ),
} as const;

export const retention = {
  destroyedSandboxesMs: duration(
    7 * 86_400_000,
    "How long destroyed sandboxes' rows are kept, with their labels and leases; 0s for ever.",
  ),
} as const;

export const logging = {
  level: choice(
    "info",
    ["trace", "debug", "info", "warn", "error", "fatal", "panic", "disabled"],
    "Least severe level that is written.",
  ),
  format: choice("json", ["json", "pretty"], "One JSON object a line, or text for people."),
} as const;
