import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import fc from "fast-check";
import { expect, test } from "vitest";
import { stringify } from "yaml";
import { type LoadOptions, loadConfig } from "./load.ts";
import { ConfigError, type Problem } from "./problem.ts";
import { fileKey, keys } from "./schema.ts";

/** Loads with nothing of this machine's: the files and variables given are all there are. */
const load = (
  files: Readonly<Record<string, string>> = {},
  env: Readonly<Record<string, string>> = {},
  options: LoadOptions = {},
) =>
  loadConfig({
    env,
    cwd: "/srv",
    home: "/home/me",
    uid: 1000,
    readFile: (path) => {
      const text = Object.hasOwn(files, path) ? files[path] : undefined;
      if (text === undefined) throw Object.assign(new Error("no such file"), { code: "ENOENT" });
      return text;
    },
    ...options,
  });

const problems = (...args: Parameters<typeof load>): readonly Problem[] => {
  try {
    load(...args);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
};

const yaml = (text: string) => ({ "/srv/stacyvm.yaml": text });
const messages = (...args: Parameters<typeof load>) => problems(...args).map((problem) => problem.message);

test("with nothing set, everything has its default and listens to this machine only", () => {
  const { config, sources } = load();
  expect(config).toMatchObject({
    server: { host: "127.0.0.1", port: 7423, insecure: false, corsAllowedOrigins: [] },
    dataDir: "/home/me/.local/share/stacyvm",
    images: { storeDir: "/home/me/.local/share/stacyvm/images", aliases: {} },
    providers: { default: "auto", oci: { enabled: true }, mock: { enabled: false }, docker: { enabled: false } },
    defaults: { ttlMs: 1_800_000, maxTtlMs: 86_400_000, image: "alpine:latest", memoryMb: 1024, vcpus: 1 },
    auth: { enabled: false, apiKey: undefined },
    database: { driver: "sqlite", path: "/home/me/.local/share/stacyvm/stacyvm.db" },
  });
  expect(config.providers.proot.enabled).toBe(true);
  expect(load({}, { XDG_DATA_HOME: "/data" }).config.dataDir).toBe("/data/stacyvm");
  expect(load({}, { XDG_DATA_HOME: "data" }).config.dataDir).toBe("/home/me/.local/share/stacyvm");
  const asRoot = load({}, { XDG_DATA_HOME: "/data" }, { uid: 0 }).config;
  expect([asRoot.dataDir, asRoot.providers.proot.enabled]).toEqual(["/var/lib/stacyvm", false]);
  expect(new Set(Object.values(sources))).toEqual(new Set(["default"]));
});

test("no two keys share a name or a variable", () => {
  const names = keys.flatMap((key) => [key.path, ...(key.setting.fromFile ? [fileKey(key).path] : [])]);
  const variables = keys.flatMap((key) => [key.env, ...(key.setting.fromFile ? [fileKey(key).env] : [])]);
  expect(new Set(names).size).toBe(names.length);
  expect(new Set(variables).size).toBe(variables.length);
});

test("the command line counts above the environment, that above the file, that above the default", () => {
  const files = yaml("server: {port: 1}\ndefaults: {ttl: 1m}");
  const env = { STACYVM_SERVER_PORT: "2", STACYVM_UNHEARD_OF: "x", STACYVM_DEFAULTS_TTL: "" };
  const { config, sources } = load(files, env);
  expect(config.server.port).toBe(2);
  expect(config.defaults.ttlMs).toBe(60_000);
  expect(sources["server.port"]).toBe("STACYVM_SERVER_PORT");
  expect(sources["defaults.ttl"]).toBe("/srv/stacyvm.yaml");
  expect(load(files, env, { overrides: { "server.port": "3" } }).config.server.port).toBe(3);
});

test("the first file found is the only one; a named file is the only one, and must exist", () => {
  const home = { "/home/me/.stacyvm/config.yaml": "server: {port: 5}" };
  expect(load(home).config.server.port).toBe(5);
  expect(load({ ...home, ...yaml("defaults: {vcpus: 2}") }).config.server.port).toBe(7423);
  const named = { argvConfigPath: "x.yaml" };
  expect(load({ ...home, "/srv/x.yaml": "server: {port: 6}" }, {}, named).config.server.port).toBe(6);
  expect(problems(home, {}, named)).toEqual([
    { path: "/srv/x.yaml", message: "/srv/x.yaml can't be read: ENOENT", hint: "Check the path given to --config." },
  ]);
});

test("an unreadable file is a problem, not a missing one", () => {
  const readFile = () => {
    throw Object.assign(new Error("no"), { code: "EACCES" });
  };
  expect(messages({}, {}, { readFile })).toEqual(["/srv/stacyvm.yaml can't be read: EACCES"]);
});

test.each([
  [
    { allow: ["a", "b:x"] },
    'network.allow "b:x", column 3: "x" is no port from 1 to 65535 and no range such as 8000-8100',
  ],
  [{ open: ["10.0.0.0/8"] }, 'network.open "10.0.0.0/8" is no network with ports'],
  [{ open: ["db.internal:5432"] }, 'network.open "db.internal:5432" is no network with ports'],
  [{ resolvers: ["192.0.2.0/24"] }, 'network.resolvers "192.0.2.0/24" is no address with one port or none'],
  [{ resolvers: ["192.0.2.53:53,54"] }, 'network.resolvers "192.0.2.53:53,54" is no address with one port or none'],
  [{ mode: "none", allow: ["a"] }, "network.allow has rules beside network.mode none, which lets nobody out"],
])("a network that can't be meant is refused with its place: %j", (network, message) => {
  expect(messages(yaml(stringify({ network })))).toEqual([message]);
});

test("every key can be set by its variable and by a file, and both read the same", () => {
  const samples: Record<string, string> = {
    boolean: "true",
    integer: "20",
    number: "1.5",
    duration: "20s",
    size: "2m",
    "size and/or percentage": "2m,7%",
    list: "a,b",
    map: "a=b,c=d",
    path: "/x/y",
    "list of secrets": "a,b",
    "map of secrets": "a=b:c",
  };
  for (const { path, env, setting, properties } of keys) {
    let value = samples[setting.type] ?? (setting.type.split(" \\| ").at(-1) as string);
    if (path.endsWith(".pids_limit")) value = "77";
    if (path === "server.trusted_proxies") value = "10.0.0.0/8,2001:db8::1";
    if (path === "network.open") value = "10.1.2.3/32:5432,10.1.2.4/32:80";
    if (path === "network.resolvers") value = "192.0.2.53,[2001:db8::53]:5353";
    if (path === "server.cors_allowed_origins") value = "http://a.example,https://b.example:8";
    if (path === "server.public_url") value = "https://a.example:8";
    if (path.endsWith("_proxy") && setting.type === "secret") value = "http://a.example:3128";
    const credential = { STACYVM_AUTH_API_KEY: "k", STACYVM_DATABASE_DSN: "d", STACYVM_AUTH_OIDC_JWKS_URL: "u" };
    const tls = { STACYVM_SERVER_TLS_CERT_FILE: "/c", STACYVM_SERVER_TLS_KEY_FILE: "/k" };
    const times = { STACYVM_LEASES_TTL: "1m", STACYVM_DEFAULTS_TTL: "10s" };
    const around = { ...credential, ...tls, ...times, STACYVM_AUTH_OIDC_ISSUER: "i" };
    const dig = (config: unknown): unknown => properties.reduce((node, name) => (node as never)[name], config);
    const plain = (loaded: unknown) =>
      inspect(dig(loaded), { depth: 9 }) + JSON.stringify(dig(loaded), (_, item) => item?.reveal?.() ?? item);
    const byVariable = load({}, { ...around, [env]: value });
    const nested = path.split(".").reduceRight<unknown>((inner, name) => ({ [name]: inner }), value);
    const { [env]: _, ...rest } = { ...around } as Record<string, string>;
    const byFile = load(yaml(stringify(nested)), rest);
    expect(plain(byFile.config), path).toBe(plain(byVariable.config));
    expect(byVariable.sources[path], path).toBe(env);
    expect(byFile.sources[path], path).toBe("/srv/stacyvm.yaml");
  }
});

test("key case makes no difference, the case of names inside a map does", () => {
  const { config } = load(yaml("Server: {PORT: 9}\nauth: {api_key: k, worker_tokens: {Worker-A: t}}"));
  expect(config.server.port).toBe(9);
  expect(config.auth.workerTokens["Worker-A"]?.reveal()).toBe("t");
  expect(messages(yaml("server: {port: 1, PORT: 2}"))).toEqual(["server.port is given twice"]);
});

test("maps come as JSON or as pairs, lists as lists or with commas", () => {
  const aliases = (value: string) => load({}, { STACYVM_IMAGES_ALIASES: value }).config.images.aliases;
  expect(aliases("alpine=base, b = c=d")).toEqual({ alpine: "base", b: "c=d" });
  expect(aliases('{"alpine":"base","__proto__":"x"}')).toEqual(JSON.parse('{"alpine":"base","__proto__":"x"}'));
  expect(messages({}, { STACYVM_IMAGES_ALIASES: "alpine" })).toEqual(["images.aliases must be a map of texts"]);
  expect(messages({}, { STACYVM_IMAGES_ALIASES: "{" })).toEqual(["images.aliases must be a map of texts"]);
  const { config } = load(yaml("providers: {oci: {runtime_args: [--a, --b]}, docker: {dropped_caps: 'A, B,'}}"));
  expect(config.providers.oci.runtimeArgs).toEqual(["--a", "--b"]);
  expect(config.providers.docker.droppedCaps).toEqual(["A", "B"]);
});

test("an unknown key is refused with the nearest known name", () => {
  const found = problems(yaml("servr: {port: 1}\nserver: {prot: 1}\ndefaults: {max_ttls: 1h}\nzzzzzz: 1\nx: 1"));
  expect(found.map(({ message, hint }) => `${message}. ${hint}`)).toEqual([
    "servr is not a known key. Did you mean server?",
    "server.prot is not a known key. Did you mean server.port?",
    "defaults.max_ttls is not a known key. Did you mean defaults.max_ttl?",
    "zzzzzz is not a known key. See docs/generated/config.md for the keys there are.",
    "x is not a known key. See docs/generated/config.md for the keys there are.",
  ]);
});

test("a file of 1 MiB is read, and one byte more is refused", () => {
  const text = (bytes: number) => yaml(`server: {port: 9}\n#`.padEnd(bytes, "x"));
  expect(load(text(1024 ** 2)).config.server.port).toBe(9);
  expect(messages(text(1024 ** 2 + 1))).toEqual(["/srv/stacyvm.yaml is larger than 1048576 bytes"]);
});

test("everything that is wrong is listed at once", () => {
  const text = "defaults: {ttl: soon, max_ttl: -1s, max_sandboxes: -1}\nserver: {port: 70000}\nnope: 1\nauth: 3";
  const found = messages(yaml(text), { STACYVM_POOL_OVERFLOW: "drop" });
  expect(found.toSorted()).toEqual([
    "auth must be a map of settings",
    "defaults.max_sandboxes cannot be negative",
    "defaults.max_ttl cannot be negative",
    'defaults.ttl must be a valid duration: time: invalid duration "soon"',
    "nope is not a known key",
    "pool.overflow must be reject or queue",
    "server.port must be between 0 and 65535",
  ]);
});

test.each([
  ["STACYVM_DEFAULTS_SPAWN_OVERFLOW", "x", "defaults.spawn_overflow must be reject or queue"],
  ["STACYVM_RATE_LIMIT_KEY_BY", "x", "rate_limit.key_by must be owner, api_key, or ip"],
  ["STACYVM_DATABASE_DRIVER", "oracle", 'unsupported database.driver "oracle"'],
  ["STACYVM_DATABASE_DRIVER", "postgresql", "database.dsn is required for postgres"],
  ["STACYVM_SERVER_PORT", "1.5", "server.port must be a whole number"],
  ["STACYVM_SERVER_PORT", "99999999999999999999", "server.port must be between 0 and 65535"],
  ["STACYVM_SERVER_INSECURE", "maybe", "server.insecure must be true or false"],
  ["STACYVM_PROVIDERS_DOCKER_CPUS", "-1", "providers.docker.cpus must be a number, zero or more"],
  ["STACYVM_PROVIDERS_DOCKER_MEMORY", "big", 'providers.docker.memory must be a valid size: invalid size "big"'],
  ["STACYVM_DEFAULTS_TTL", "0s", "defaults.ttl must be at least 1s"],
  ["STACYVM_DEFAULTS_TTL", "48h", "defaults.ttl (48h0m0s) must not be above defaults.max_ttl (24h0m0s)"],
  ["STACYVM_DEFAULTS_MAX_TTL", "2000000h", "defaults.max_ttl must be at most 876000h0m0s"],
  [
    "STACYVM_DEFAULTS_DEFAULT_EXEC_TIMEOUT",
    "1h",
    "defaults.default_exec_timeout (1h0m0s) must not be above defaults.max_exec_timeout (10m0s)",
  ],
  ["STACYVM_LEASES_RENEW_INTERVAL", "30s", "leases.renew_interval (30s) must be less than leases.ttl (30s)"],
  ["STACYVM_AUTH_ENABLED", "true", "auth.enabled is true and no credential is configured, so nobody could get in"],
  [
    "STACYVM_SERVER_TRUSTED_PROXIES",
    "10.0.0.0/8,proxy",
    'server.trusted_proxies: "proxy" is neither an address nor a network such as 10.0.0.0/8',
  ],
  [
    "STACYVM_AUTH_OIDC_ENABLED",
    "true",
    "auth.oidc_enabled needs auth.oidc_issuer, auth.oidc_jwks_url or auth.oidc_public_key",
  ],
  ["STACYVM_AUTH_OIDC_CLIENT_ID", "web", "auth.oidc_client_id needs auth.oidc_issuer"],
  ["STACYVM_AUTH_OIDC_CLI_CLIENT_ID", "cli", "auth.oidc_cli_client_id needs auth.oidc_issuer"],
  ["STACYVM_AUTH_SESSION_IDLE_TIMEOUT", "9s", "auth.session_idle_timeout must be at least 10s"],
  ["STACYVM_AUTH_SESSIONS_PER_PERSON", "0", "auth.sessions_per_person must be between 1 and 1000"],
  ["STACYVM_SERVER_CORS_ALLOWED_ORIGINS", "app", 'server.cors_allowed_origins contains invalid origin "app"'],
  [
    "STACYVM_SERVER_CORS_ALLOWED_ORIGINS",
    "ftp://a.example",
    'server.cors_allowed_origins origin "ftp://a.example" must use http or https',
  ],
  [
    "STACYVM_SERVER_CORS_ALLOWED_ORIGINS",
    "https://a.example/",
    'server.cors_allowed_origins origin "https://a.example/" must not include path, query, or fragment',
  ],
  [
    "STACYVM_IMAGES_REGISTRY_CREDENTIALS",
    "https://ghcr.io=me:hunter2",
    "images.registry_credentials has a name that is no registry",
  ],
  [
    "STACYVM_IMAGES_REGISTRY_CREDENTIALS",
    "index.docker.io=me:hunter2",
    "images.registry_credentials has a name that is no registry",
  ],
  [
    "STACYVM_IMAGES_REGISTRY_CREDENTIALS",
    "localhost:5000=hunter2",
    'images.registry_credentials of "localhost:5000" is not user:password',
  ],
  ["STACYVM_IMAGES_HTTP_PROXY", "me:hunter2@proxy:3128", "images.http_proxy must be an http or https address"],
  ["STACYVM_IMAGES_HTTPS_PROXY", "socks5://proxy", "images.https_proxy must be an http or https address"],
  [
    "STACYVM_PROVIDERS_DOCKER_NETWORK_MODE",
    "host",
    'providers.docker.network_mode "host" would give sandboxes the network of something else',
  ],
  [
    "STACYVM_PROVIDERS_DOCKER_SECCOMP_PROFILE",
    "unconfined",
    'providers.docker.seccomp_profile "unconfined" would open the whole kernel to sandboxes',
  ],
  ["STACYVM_DISK_MIN_FREE", "much", 'disk.min_free must be a size, a percentage, or both: invalid size "much"'],
  ["STACYVM_AUTH_API_KEY_FILE", "gone", "auth.api_key_file can't be read: ENOENT"],
  ["STACYVM_AUTH_API_KEY_FILE", "empty", "auth.api_key_file is empty"],
])("%s=%s is refused", (variable, value, message) => {
  expect(messages({ "/srv/empty": " \n" }, { [variable]: value })).toEqual([message]);
});

test("the engine's address is the configured one, else Docker's own variables say it", () => {
  const docker = (env: Record<string, string>) => load({}, env).config.providers.docker;
  expect(docker({})).toMatchObject({ socket: "unix:///var/run/docker.sock", tlsDir: "" });
  const own = { DOCKER_HOST: "tcp://engine:2376", DOCKER_CERT_PATH: "/certs" };
  expect(docker(own)).toMatchObject({ socket: "tcp://engine:2376", tlsDir: "/certs" });
  const configured = { ...own, STACYVM_PROVIDERS_DOCKER_SOCKET: "/run/own.sock" };
  expect(docker(configured)).toMatchObject({ socket: "/run/own.sock", tlsDir: "" });
});

test("0 lifts a maximum, and gives the queue its defaults", () => {
  const { config } = load(yaml("defaults: {ttl: 48h, max_ttl: 0s, max_spawn_queue: 0, spawn_queue_timeout: 0s}"));
  expect(config.defaults).toMatchObject({ maxTtlMs: 0, maxSpawnQueue: 100, spawnQueueTimeoutMs: 30_000 });
});

test("a secret may be in a file, beside nothing else, and never shows itself", () => {
  const files = { "/run/secrets/key": "hunter2\n", "/srv/pw": "postgres://u:hunter2@h/d" };
  const { config } = load(files, { STACYVM_AUTH_API_KEY_FILE: "/run/secrets/key", STACYVM_DATABASE_DSN_FILE: "pw" });
  expect(config.auth.apiKey?.reveal()).toBe("hunter2");
  expect(config.database.dsn?.reveal()).toBe("postgres://u:hunter2@h/d");
  expect(`${inspect(config, { depth: 20 })}${JSON.stringify(config)}`).not.toContain("hunter2");
  const both = { STACYVM_AUTH_API_KEY: "hunter2", STACYVM_AUTH_API_KEY_FILE: "/run/secrets/key" };
  expect(messages(files, both)).toEqual(["auth.api_key and auth.api_key_file cannot both be set"]);
  expect(
    messages({ ...files, ...yaml("auth: {api_key: a}") }, { STACYVM_AUTH_API_KEY_FILE: "/run/secrets/key" }),
  ).toEqual(["auth.api_key and auth.api_key_file cannot both be set"]);
});

test("registries' credentials may be in a file, and neither they nor a proxy's show themselves", () => {
  const files = { "/run/secrets/registries": '{"ghcr.io": "me:hunter2", "localhost:5000": "a:hunter2:,="}' };
  const { config } = load(files, {
    STACYVM_IMAGES_REGISTRY_CREDENTIALS_FILE: "/run/secrets/registries",
    STACYVM_IMAGES_HTTPS_PROXY: "http://me:hunter2@proxy:3128",
  });
  expect(config.images.registryCredentials["ghcr.io"]?.reveal()).toBe("me:hunter2");
  expect(config.images.registryCredentials["localhost:5000"]?.reveal()).toBe("a:hunter2:,=");
  expect(`${inspect(config, { depth: 20 })}${JSON.stringify(config)}`).not.toContain("hunter2");
});

test("no problem quotes a secret or a line of the file", () => {
  const texts = [
    "auth: {api_key: [hunter2]}",
    "auth:\n api_key: hunter2\n  hunter2: [",
    "hunter2: hunter2: hunter2",
    "hunter2",
  ];
  for (const text of texts) {
    const found = problems(yaml(text));
    expect(found.length).toBeGreaterThan(0);
    expect(
      JSON.stringify(found.map((problem) => problem.message.replace("hunter2 is not a known key", ""))),
    ).not.toContain("hunter2");
  }
});

test("authentication is on as soon as a credential is configured, and can't be off beside one", () => {
  for (const variable of ["API_KEY", "ADMIN_API_KEY", "OIDC_JWKS_URL", "OIDC_PUBLIC_KEY", "OIDC_ISSUER"]) {
    const env = { [`STACYVM_AUTH_${variable}`]: "x" };
    expect(load({}, env).config.auth.enabled).toBe(true);
    expect(messages({}, { ...env, STACYVM_AUTH_ENABLED: "false" })).toEqual([
      "auth.enabled is false beside a configured credential",
    ]);
  }
  expect(load({}, { STACYVM_AUTH_WORKER_TOKEN: "x" }).config.auth.enabled).toBe(false);
});

test("an address that others can reach needs a credential, or the operator's word", () => {
  for (const host of ["0.0.0.0", "::", "192.168.1.1", "example.com", "127.0.0.1.example.com", "::ffff:127.0.0.1"]) {
    const [problem] = problems({}, { STACYVM_SERVER_HOST: host });
    expect(problem).toMatchObject({ path: "server.host", hint: expect.stringContaining("--insecure") });
    expect(load({}, { STACYVM_SERVER_HOST: host, STACYVM_AUTH_API_KEY: "k" }).config.server.host).toBe(host);
    expect(load({}, { STACYVM_SERVER_HOST: host, STACYVM_SERVER_INSECURE: "1" }).config.server.insecure).toBe(true);
  }
  for (const host of ["127.0.0.1", "127.8.8.8", "localhost", "LOCALHOST", "::1", "[::1]", "0:0:0:0:0:0:0:1"]) {
    expect(messages({}, { STACYVM_SERVER_HOST: host })).toEqual([]);
  }
});

test("a limit of processes leaves room for the agent's own threads", () => {
  const pids = (provider: string, limit: number) => messages(yaml(`providers: {${provider}: {pids_limit: ${limit}}}`));
  expect(pids("oci", 63)).toEqual(["providers.oci.pids_limit must be between 64 and 2147483647"]);
  expect(pids("docker", 63)).toEqual([
    "providers.docker.pids_limit is 63, and a sandbox's agent alone has three dozen threads",
  ]);
  for (const limit of [0, 64]) expect(pids("docker", limit)).toEqual([]);
  expect(pids("oci", 64)).toEqual([]);
});

test("the configurations that others rely on load", () => {
  load(
    {},
    {
      STACYVM_SERVER_PORT: "17423",
      STACYVM_PROVIDERS_DEFAULT: "mock",
      STACYVM_PROVIDERS_MOCK_ENABLED: "true",
      STACYVM_PROVIDERS_DOCKER_ENABLED: "false",
      STACYVM_PROVIDERS_FIRECRACKER_ENABLED: "false",
      STACYVM_AUTH_API_KEY: "ci-smoke-key",
      STACYVM_DATABASE_PATH: "/tmp/x.db",
    },
  );
  load(
    yaml(`server: {host: "127.0.0.1", port: 17423}
providers: {default: mock, mock: {enabled: true}, docker: {enabled: false}, firecracker: {enabled: false}}
auth: {api_key: a, admin_api_key: b, worker_token: c, admin_fallback_enabled: false}
logging: {level: warn, format: json}
database: {driver: postgres, dsn: "postgres://x"}
worker: {rpc_tls: {enabled: true, ca_file: a, client_cert_file: b, client_key_file: c}}`),
  );
  load(
    yaml(`worker: {id: worker-a, control_plane_url: "http://127.0.0.1:17423", listen_addr: "127.0.0.1:17430",
  heartbeat_interval: 1s, rpc_tls: {enabled: true, server_cert_file: a, server_key_file: b, client_ca_file: c}}
auth: {worker_token: x}`),
  );
  load(
    yaml(`auth: {oidc_enabled: true, oidc_issuer: "https://x", oidc_audience: stacyvm, oidc_jwks_url: "https://x/jwks.json",
       oidc_admin_groups: [a], oidc_operator_groups: [b]}`),
  );
});

test("whatever a file holds, the outcome is a configuration or a list of problems", () => {
  const names = keys.flatMap((key) => key.path.split("."));
  const value = fc.letrec((tie) => ({
    node: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom(null, true, "", "5s", "-1", "soon", "a=b", "{", 0, -1, 1.5, Number.NaN, 1e300),
      fc.string({ unit: "binary", maxLength: 8 }),
      fc.array(tie("node"), { maxLength: 3 }),
      fc.dictionary(fc.oneof(fc.constantFrom(...names, "__proto__", "constructor"), fc.string()), tie("node"), {
        maxKeys: 6,
      }),
    ),
  })).node;
  const text = fc.oneof(
    value.map((item) => stringify(item)),
    fc.string({ unit: "binary" }),
    fc
      .array(
        fc.constantFrom(
          "server",
          ":",
          " ",
          "\n",
          "-",
          "{",
          "}",
          "[",
          "&a",
          "*a",
          "!!",
          "?",
          "|",
          "'",
          "port",
          "1",
          "#",
          "---",
          "\t",
          "<<",
        ),
      )
      .map((parts) => parts.join("")),
  );
  fc.assert(
    fc.property(text, (content) => {
      // Anything but a ConfigError is thrown on.
      for (const problem of problems(yaml(content))) expect(problem.message).toContain(problem.path);
    }),
    { numRuns: 500 },
  );
  for (const hostile of [
    "[".repeat(100_000),
    "a: ".repeat(5_000),
    `a: &a [x]\n${"b: [*a,*a]\n".repeat(9)}`,
    "x".repeat(2_000_000),
  ]) {
    expect(problems(yaml(hostile)).length).toBeGreaterThan(0);
  }
});

test("with nothing injected it reads the real files", () => {
  const cwd = mkdtempSync(join(tmpdir(), "stacyvm-config-"));
  try {
    writeFileSync(join(cwd, "stacyvm.yaml"), "server: {port: 4321}");
    expect(loadConfig({ cwd, home: cwd, env: {} }).config.server.port).toBe(4321);
  } finally {
    rmSync(cwd, { recursive: true });
  }
});

test("an engine is at hand by itself only where the server isn't root, and DOCKER_HOST or its socket's rights say so", () => {
  const enabled = (uid: number, env: Record<string, string>, mayUse: boolean) =>
    loadConfig({ env, uid, cwd: "/nowhere", home: "/nowhere", readFile: () => "", mayUse: () => mayUse }).config
      .providers.docker.enabled;
  expect(enabled(1000, {}, true)).toBe(true);
  expect(enabled(1000, {}, false)).toBe(false);
  expect(enabled(1000, { DOCKER_HOST: "tcp://engine:2375" }, false)).toBe(true);
  expect(enabled(0, { DOCKER_HOST: "tcp://engine:2375" }, true)).toBe(false);
  expect(enabled(0, { STACYVM_PROVIDERS_DOCKER_ENABLED: "true" }, false)).toBe(true);
  expect(enabled(1000, { STACYVM_PROVIDERS_DOCKER_ENABLED: "false" }, true)).toBe(false);
});

test.each([
  "sandboxes.example",
  "ftp://a.example",
  "https://u@a.example",
  "https://a.example/?q",
  "https://a.example/#f",
])("the public address %j is refused", (url) => {
  expect(messages({}, { STACYVM_SERVER_PUBLIC_URL: url })).toEqual([
    `server.public_url ${JSON.stringify(url)} must be an http or https address without user, query or fragment`,
  ]);
});
