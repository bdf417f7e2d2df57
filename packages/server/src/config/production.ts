import { statSync } from "node:fs";
import { getDomain } from "tldts";
import { parseRule } from "../lib/network-rule.ts";
import { isLoopback, parseNetworks } from "../lib/networks.ts";
import type { Secret } from "../lib/secret.ts";
import { hasCredential, takesTokens } from "./cross-checks.ts";
import type { LoadedConfig } from "./load.ts";
import { ConfigError, type Problem } from "./problem.ts";
import type { Config } from "./schema.ts";

const keyBytesMin = 32;

/** What is judged: the values, and the files that hold secrets. */
export type ProductionSubject = Pick<LoadedConfig, "config" | "secretFiles">;

/** What is wrong with one setting, and what to do. */
type Verdict = readonly [message: string, hint: string] | undefined;

interface Rule {
  readonly setting: string;
  readonly judge: (config: Config) => Verdict;
}

const random = "Make one by: openssl rand -hex 32.";
const placeholder = /change-?_?me|replace-?_?me/i;

const keyVerdict = (setting: string, keys: readonly (Secret | undefined)[]): Verdict => {
  const texts = keys.flatMap((key) => key?.reveal() ?? []);
  if (texts.some((text) => placeholder.test(text))) return [`${setting} is the placeholder of an example`, random];
  if (texts.some((text) => Buffer.byteLength(text) < keyBytesMin))
    return [`${setting} is shorter than ${keyBytesMin} bytes`, random];
  return undefined;
};

const when = (bad: boolean, message: string, hint: string): Verdict => (bad ? [message, hint] : undefined);

const named = (config: Config): readonly (readonly [setting: string, key: Secret])[] =>
  (
    [
      ["auth.api_key", config.auth.apiKey],
      ["auth.admin_api_key", config.auth.adminApiKey],
      ["auth.worker_token", config.auth.workerToken],
      ["auth.worker_signing_key", config.auth.workerSigningKey],
      ["server.secrets_key", config.server.secretsKey],
    ] as const
  ).flatMap(([setting, key]) => (key === undefined ? [] : [[setting, key] as const]));

/** The first of the keys that is another one's too. */
const sharedKey = (config: Config): Verdict => {
  const keys = named(config);
  for (const [index, [setting, key]] of keys.entries()) {
    const other = keys.slice(0, index).find(([, one]) => one.equals(key.reveal()));
    if (other !== undefined) return [`${setting} is the same as ${other[0]}`, `Give each its own. ${random}`];
  }
  return undefined;
};

/** Where a host listens for itself alone, and where clouds tell machines their credentials. */
const own = parseNetworks(["127.0.0.0/8", "::1", "169.254.0.0/16", "fe80::/10", "fd00:ec2::254"]);
const ownExamples = ["127.0.0.1", "::1", "169.254.169.254", "fd00:ec2::254"];
const familyOf = (address: string) => (address.includes(":") ? "ipv6" : "ipv4");

/** Whether a network lies in those, or holds one of them. */
const opensHost = (rule: string): boolean => {
  const { cidr = "" } = parseRule(rule);
  const address = cidr.replace(/\/.*/, "");
  const opened = parseNetworks([cidr]);
  return own.check(address, familyOf(address)) || ownExamples.some((each) => opened.check(each, familyOf(each)));
};

const reachable = ({ server }: Config): boolean => !isLoopback(server.host);

/** Whether a database on another machine is spoken to without a check of who it is. */
const opensDatabase = ({ database }: Config): boolean => {
  if (database.driver !== "postgres" || database.dsn === undefined) return false;
  const url = URL.parse(database.dsn.reveal());
  if (url === null) return false;
  const host = url.searchParams.get("host") ?? decodeURIComponent(url.hostname);
  if (host === "" || host.startsWith("/") || isLoopback(host)) return false;
  return !["require", "verify-ca", "verify-full"].includes(url.searchParams.get("sslmode") ?? "");
};

const publicUrl = ({ server }: Config): Verdict => {
  const hint = "Write the address that clients and browsers use, like https://sandboxes.example.com.";
  if (server.publicUrl === "") return ["server.public_url is not set", hint];
  const url = URL.parse(server.publicUrl);
  if (url === null || (url.protocol !== "https:" && !(url.protocol === "http:" && isLoopback(url.hostname))))
    return ["server.public_url is not an https address", hint];
  return undefined;
};

/** A page of a preview could set cookies for the server's own name. */
const sharesSite = ({ server }: Config): boolean => {
  const host = URL.parse(server.publicUrl)?.hostname;
  if (host === undefined) return false;
  const site = (name: string) => getDomain(name, { allowPrivateDomains: true }) ?? name;
  return site(host) === site(server.previewDomain.replace(/:\d+$/, "").toLowerCase());
};

/** What production refuses, a rule a setting. Each is bad for whoever it is that runs a server for others. */
export const productionRules: readonly Rule[] = [
  {
    setting: "auth.enabled",
    judge: (config) =>
      when(!hasCredential(config), "no credential is configured", "Set auth.api_key or auth.oidc_issuer."),
  },
  { setting: "auth.api_key", judge: ({ auth }) => keyVerdict("auth.api_key", [auth.apiKey]) },
  {
    setting: "auth.admin_api_key",
    judge: ({ auth }) => {
      const byToken = takesTokens({ auth }) && auth.oidcAdminGroups.length > 0;
      const hint = `Set auth.admin_api_key, or auth.oidc_admin_groups with an issuer. ${random}`;
      if (auth.adminApiKey === undefined) return when(!byToken, "auth.admin_api_key is not set", hint);
      return keyVerdict("auth.admin_api_key", [auth.adminApiKey]);
    },
  },
  { setting: "auth.worker_token", judge: ({ auth }) => keyVerdict("auth.worker_token", [auth.workerToken]) },
  {
    setting: "auth.worker_tokens",
    judge: ({ auth }) => keyVerdict("auth.worker_tokens", Object.values(auth.workerTokens)),
  },
  {
    setting: "auth.worker_signing_key",
    judge: ({ auth }) =>
      auth.workerSigningKey === undefined && auth.workerSigningKeys.length > 0
        ? ["auth.worker_signing_keys are set without auth.worker_signing_key", "Set the key that signs now."]
        : keyVerdict("auth.worker_signing_key", [auth.workerSigningKey]),
  },
  {
    setting: "auth.worker_signing_keys",
    judge: ({ auth }) => keyVerdict("auth.worker_signing_keys", auth.workerSigningKeys),
  },
  { setting: "server.secrets_key", judge: ({ server }) => keyVerdict("server.secrets_key", [server.secretsKey]) },
  {
    setting: "server.previous_secrets_keys",
    judge: ({ server: { secretsKey, previousSecretsKeys: previous } }) => {
      const setting = "server.previous_secrets_keys";
      if (secretsKey === undefined && previous.length > 0)
        return [`${setting} are set without server.secrets_key`, "Set the key that seals now."];
      if (previous.some((key) => secretsKey?.equals(key.reveal())))
        return [`${setting} has server.secrets_key among it`, `Make a new key for server.secrets_key. ${random}`];
      return keyVerdict(setting, previous);
    },
  },
  { setting: "auth", judge: sharedKey },
  {
    setting: "auth.admin_fallback_enabled",
    judge: ({ auth }) =>
      when(
        auth.adminFallbackEnabled,
        "auth.admin_fallback_enabled lets the API key open administration",
        "Set it to false.",
      ),
  },
  {
    setting: "auth.oidc_issuer",
    judge: ({ auth }) =>
      when(
        takesTokens({ auth }) && auth.oidcIssuer === "",
        "auth.oidc_issuer is not set, so that tokens of any issuer with that key count",
        "Set it as the tokens name it.",
      ),
  },
  {
    setting: "auth.oidc_audience",
    judge: ({ auth }) =>
      when(
        takesTokens({ auth }) && auth.oidcAudience === "",
        "auth.oidc_audience is not set, so that tokens made for other programs count",
        "Set it to this server's name at the issuer.",
      ),
  },
  {
    setting: "auth.oidc_default_role",
    judge: ({ auth }) =>
      when(
        auth.oidcDefaultRole !== "none",
        `auth.oidc_default_role gives ${auth.oidcDefaultRole} to everybody whom the issuer knows`,
        "Set it to none, and name groups.",
      ),
  },
  {
    setting: "server.insecure",
    judge: ({ server }) => when(server.insecure, "server.insecure is on", "Remove it, and --insecure."),
  },
  {
    setting: "server.tls",
    judge: (config) =>
      when(
        reachable(config) && config.server.tls.certFile === "" && config.server.trustedProxies.length === 0,
        `server.host ${JSON.stringify(config.server.host)} is served in plain HTTP`,
        "Set server.tls, or name the proxy in front that speaks TLS in server.trusted_proxies.",
      ),
  },
  {
    setting: "server.trusted_proxies",
    judge: ({ server }) =>
      when(
        server.trustedProxies.some((network) => /\/0+$/.test(network.trim())),
        "server.trusted_proxies trusts every address, so that callers may name any",
        "Name your proxies alone.",
      ),
  },
  { setting: "server.public_url", judge: publicUrl },
  {
    setting: "server.preview_domain",
    judge: (config) =>
      when(
        sharesSite(config),
        `server.preview_domain ${JSON.stringify(config.server.previewDomain)} shares its site with server.public_url`,
        "Take a domain for previews alone: what sandboxes serve must not be able to set the server's cookies.",
      ),
  },
  {
    setting: "server.cors_allowed_origins",
    judge: ({ server }) =>
      when(
        server.corsAllowedOrigins.length === 0 || server.corsAllowedOrigins.includes("*"),
        "server.cors_allowed_origins allows every web page",
        "List the pages' origins; server.public_url where there are no others.",
      ),
  },
  {
    setting: "rate_limit.enabled",
    judge: ({ rateLimit }) =>
      when(
        !rateLimit.enabled || rateLimit.requestsPerMinute === 0,
        "rate_limit is off",
        "Set rate_limit.enabled and rate_limit.requests_per_minute.",
      ),
  },
  {
    setting: "providers.mock.enabled",
    judge: ({ providers }) =>
      when(providers.mock.enabled, "providers.mock.enabled offers sandboxes without any wall", "Set it to false."),
  },
  {
    setting: "providers.proot.network_mode",
    judge: ({ providers }) =>
      when(
        providers.proot.enabled && providers.proot.networkMode === "host",
        "providers.proot.network_mode host gives sandboxes this machine's network, this server's port among it",
        "Set it to none, or providers.proot.enabled to false.",
      ),
  },
  {
    setting: "network.open",
    judge: ({ network }) =>
      when(
        network.open.some(opensHost),
        "network.open lets every sandbox reach this host itself or its cloud's metadata",
        "Name the one address that sandboxes need, or move what they need to a machine of its own.",
      ),
  },
  {
    setting: "defaults.max_sandboxes",
    judge: ({ defaults }) =>
      when(defaults.maxSandboxes === 0, "defaults.max_sandboxes bounds nothing", "Set how many this machine can hold."),
  },
  {
    setting: "defaults.max_sandboxes_per_owner",
    judge: ({ defaults }) =>
      when(
        defaults.maxSandboxesPerOwner === 0,
        "defaults.max_sandboxes_per_owner lets one owner take all",
        "Set how many one owner may have.",
      ),
  },
  {
    setting: "defaults.max_ttl",
    judge: ({ defaults }) =>
      when(defaults.maxTtlMs === 0, "defaults.max_ttl bounds nothing", "Set it, for example 24h."),
  },
  {
    setting: "defaults.max_exec_timeout",
    judge: ({ defaults }) =>
      when(defaults.maxExecTimeoutMs === 0, "defaults.max_exec_timeout bounds nothing", "Set it, for example 10m."),
  },
  {
    setting: "database.path",
    judge: ({ database }) =>
      when(
        database.driver === "sqlite" && database.path === ":memory:",
        "database.path :memory: forgets every sandbox at a restart",
        "Name a file.",
      ),
  },
  {
    setting: "database.dsn",
    judge: (config) =>
      when(
        opensDatabase(config),
        "database.dsn leads to another machine without TLS",
        "Add sslmode=verify-full to it.",
      ),
  },
  {
    setting: "worker.rpc_tls.insecure_skip_verify",
    judge: ({ worker }) =>
      when(
        worker.rpcTls.insecureSkipVerify,
        "worker.rpc_tls.insecure_skip_verify accepts any certificate",
        "Set it to false, and worker.rpc_tls.ca_file.",
      ),
  },
  {
    setting: "logging.level",
    judge: ({ logging }) =>
      when(logging.level === "disabled", "logging.level disabled leaves no trace of anything", "Set it to info."),
  },
];

/** Files that only the server's user may know, by the settings that name them. */
const secretFilesOf = ({ config, secretFiles }: ProductionSubject): readonly (readonly [string, string])[] => {
  const { keyFile } = config.server.tls;
  return [...Object.entries(secretFiles), ...(keyFile === "" ? [] : [["server.tls.key_file", keyFile] as const])];
};

const modeOf = (path: string): number | undefined => {
  try {
    return statSync(path).mode & 0o777;
  } catch {
    // One that can't be read is told where it is.
    return undefined;
  }
};

/** Everything that production refuses of a configuration; empty where nothing is. Independent of `server.mode`. */
export const productionProblems = (subject: ProductionSubject, fileMode = modeOf): readonly Problem[] => [
  ...productionRules.flatMap(({ setting: path, judge }) => {
    const verdict = judge(subject.config);
    return verdict === undefined ? [] : [{ path, message: verdict[0], hint: verdict[1] }];
  }),
  ...secretFilesOf(subject).flatMap(([path, file]) => {
    const mode = fileMode(file);
    if (mode === undefined || (mode & 0o007) === 0) return [];
    const message = `${path} (${file}) is open to every user of this machine (mode ${mode.toString(8).padStart(4, "0")})`;
    return [{ path, message, hint: `chmod 600 ${file}, owned by the server's user.` }];
  }),
];

/** Throws ConfigError where `server.mode` is production and the configuration isn't fit for it. */
export const requireProduction = (subject: ProductionSubject): void => {
  if (subject.config.server.mode !== "production") return;
  const problems = productionProblems(subject);
  if (problems.length > 0) throw new ConfigError(problems, "is not fit for server.mode production, for");
};
