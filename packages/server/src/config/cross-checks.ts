import { formatDuration } from "../lib/duration.ts";
import { type NetworkRule, parseRule, RuleError } from "../lib/network-rule.ts";
import { isLoopback, parseNetworks } from "../lib/networks.ts";
import type { Problem } from "./problem.ts";
import { pidsLeast } from "./provider-settings.ts";
import type { RawConfig } from "./schema.ts";

/** Whether an issuer's tokens open the API. */
export const takesTokens = ({ auth }: Pick<RawConfig, "auth">): boolean =>
  auth.oidcEnabled || auth.oidcIssuer !== "" || auth.oidcJwksUrl !== "" || auth.oidcPublicKey !== "";

/** What opens the API to a caller: keys, or an issuer of tokens. Workers' credentials open only workers' routes. */
export const hasCredential = ({ auth }: Pick<RawConfig, "auth">): boolean =>
  auth.apiKey !== undefined || auth.adminApiKey !== undefined || takesTokens({ auth });

const originProblem = (origin: string): string | undefined => {
  const key = "server.cors_allowed_origins";
  if (origin === "*") return undefined;
  const url = URL.parse(origin);
  if (url === null || !/^[a-z][a-z0-9+.-]*:\/\/[^/]/i.test(origin)) {
    return `${key} contains invalid origin ${JSON.stringify(origin)}`;
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    return `${key} origin ${JSON.stringify(origin)} must use http or https`;
  }
  if (url.username !== "" || url.password !== "") return `${key} contains invalid origin with credentials`;
  if (!/^[^:]+:\/\/[^/?#]+$/.test(origin)) {
    return `${key} origin ${JSON.stringify(origin)} must not include path, query, or fragment`;
  }
  return undefined;
};

const addresses = ({ server, auth }: RawConfig): Problem[] => {
  const problems: Problem[] = [];
  const { publicUrl } = server;
  const url = URL.parse(publicUrl);
  if (publicUrl !== "" && (url === null || !/^https?:$/.test(url.protocol) || url.username || url.search || url.hash)) {
    const message = `server.public_url ${JSON.stringify(publicUrl)} must be an http or https address without user, query or fragment`;
    problems.push({ path: "server.public_url", message, hint: "Write it like https://sandboxes.example.com." });
  }
  for (const [path, value] of [
    ["auth.oidc_client_id", auth.oidcClientId],
    ["auth.oidc_cli_client_id", auth.oidcCliClientId],
  ] as const) {
    if (value === "" || auth.oidcIssuer !== "") continue;
    problems.push({ path, message: `${path} needs auth.oidc_issuer`, hint: "Set the issuer that knows the client." });
  }
  return problems;
};

const access = (config: RawConfig): Problem[] => {
  const problems: Problem[] = [];
  const credential = hasCredential(config);
  const { enabled, oidcEnabled, oidcIssuer, oidcJwksUrl, oidcPublicKey } = config.auth;
  if (enabled === false && credential) {
    problems.push({
      path: "auth.enabled",
      message: "auth.enabled is false beside a configured credential",
      hint: "Remove auth.enabled, which lets the credential count, or remove the credential.",
    });
  }
  if (enabled === true && !credential) {
    problems.push({
      path: "auth.enabled",
      message: "auth.enabled is true and no credential is configured, so nobody could get in",
      hint: "Set auth.api_key, for example by STACYVM_AUTH_API_KEY.",
    });
  }
  if (oidcEnabled && oidcIssuer === "" && oidcJwksUrl === "" && oidcPublicKey === "") {
    problems.push({
      path: "auth.oidc_enabled",
      message: "auth.oidc_enabled needs auth.oidc_issuer, auth.oidc_jwks_url or auth.oidc_public_key",
      hint: "Set one of them.",
    });
  }
  const { host, insecure } = config.server;
  if (!isLoopback(host) && !credential && !insecure) {
    problems.push({
      path: "server.host",
      message: `server.host ${JSON.stringify(host)} can be reached from other machines, and no credential is configured`,
      hint: "Set auth.api_key (STACYVM_AUTH_API_KEY), or listen on 127.0.0.1, or accept the danger with --insecure.",
    });
  }
  return problems;
};

/** A registry with an optional port, in the spelling that image names have once their defaults are filled in. */
const registryName = /^(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?$/i;

const registries = ({ images }: RawConfig): Problem[] => {
  const problems: Problem[] = [];
  const at = "images.registry_credentials";
  for (const [name, value] of Object.entries(images.registryCredentials)) {
    if (!registryName.test(name) || /^(?:index|registry-1)\.docker\.io$/i.test(name)) {
      const hint = "Write it as host or host:port, as in image names; Docker Hub is docker.io.";
      problems.push({ path: at, message: `${at} has a name that is no registry`, hint });
    } else if (!/^[^:]+:./s.test(value.reveal())) {
      const message = `${at} of ${JSON.stringify(name)} is not user:password`;
      problems.push({
        path: at,
        message,
        hint: "A token goes in the password's place, with the user that it belongs to.",
      });
    }
  }
  for (const [path, value] of [
    ["images.http_proxy", images.httpProxy],
    ["images.https_proxy", images.httpsProxy],
  ] as const) {
    const url = value && URL.parse(value.reveal());
    if (value === undefined || (url && /^https?:$/.test(url.protocol) && url.hostname !== "")) continue;
    problems.push({ path, message: `${path} must be an http or https address`, hint: "http://proxy.example:3128" });
  }
  return problems;
};

const tls = ({ server }: RawConfig): Problem[] => {
  const { certFile, keyFile } = server.tls;
  if ((certFile === "") === (keyFile === "")) return [];
  const [path, other] = certFile === "" ? ["cert_file", "key_file"] : ["key_file", "cert_file"];
  const message = `server.tls.${path} is missing beside server.tls.${other}`;
  return [{ path: `server.tls.${path}`, message, hint: "Set both, or neither for plain HTTP." }];
};

const docker = ({ providers }: RawConfig): Problem[] => {
  const { networkMode, seccompProfile, pidsLimit } = providers.docker;
  const problems: Problem[] = [];
  if (pidsLimit > 0 && pidsLimit < pidsLeast) {
    const path = "providers.docker.pids_limit";
    const message = `${path} is ${pidsLimit}, and a sandbox's agent alone has three dozen threads`;
    problems.push({ path, message, hint: `Use ${pidsLeast} or more, or 0.` });
  }
  if (networkMode === "host" || networkMode.startsWith("container:")) {
    const path = "providers.docker.network_mode";
    const message = `${path} ${JSON.stringify(networkMode)} would give sandboxes the network of something else`;
    problems.push({ path, message, hint: "Use none, bridge, or a network made for sandboxes." });
  }
  if (seccompProfile === "unconfined") {
    const path = "providers.docker.seccomp_profile";
    const hint = "Name a file with a profile that allows what is missing.";
    problems.push({ path, message: `${path} "unconfined" would open the whole kernel to sandboxes`, hint });
  }
  return problems;
};

const order = (
  path: string,
  value: number,
  limitPath: string,
  limit: number,
  hint: string,
  strict = false,
): Problem[] => {
  if (strict ? value < limit : value <= limit) return [];
  const relation = strict ? "be less than" : "not be above";
  const message = `${path} (${formatDuration(value)}) must ${relation} ${limitPath} (${formatDuration(limit)})`;
  return [{ path, message, hint }];
};

const proxies = ({ server }: RawConfig): Problem[] => {
  const path = "server.trusted_proxies";
  try {
    parseNetworks(server.trustedProxies);
    return [];
  } catch (error) {
    return [
      { path, message: `${path}: ${error instanceof Error ? error.message : ""}`, hint: "127.0.0.1, 10.0.0.0/8" },
    ];
  }
};

const network = ({ network: { mode, allow, deny, open, resolvers } }: RawConfig): Problem[] => {
  const problems: Problem[] = [];
  const hint = 'Write rules like "api.example.com:443", "*.example.com" or "203.0.113.0/24:80".';
  for (const [path, rules] of Object.entries({ "network.allow": allow, "network.deny": deny })) {
    const wrong = firstWrong(rules, () => undefined);
    if (wrong !== undefined) problems.push({ path, message: `${path} ${wrong}`, hint });
  }
  const closed = firstWrong(open, ({ cidr, ports }) =>
    cidr === undefined || ports.length === 0 ? "is no network with ports" : undefined,
  );
  if (closed !== undefined) {
    const path = "network.open";
    problems.push({
      path,
      message: `${path} ${closed}`,
      hint: "Name exactly what is to be reached: 10.1.2.3/32:5432.",
    });
  }
  const mute = firstWrong(resolvers, ({ cidr = "", ports }) =>
    !/\/(?:32|128)$/.test(cidr) || ports.length > 1 ? "is no address with one port or none" : undefined,
  );
  if (mute !== undefined) {
    const path = "network.resolvers";
    problems.push({ path, message: `${path} ${mute}`, hint: "Write it like 192.0.2.53 or [2001:db8::53]:53." });
  }
  if (mode === "none" && allow.length > 0) {
    const path = "network.allow";
    const message = `${path} has rules beside network.mode none, which lets nobody out`;
    problems.push({ path, message, hint: "Set network.mode to allowlist, or remove the rules." });
  }
  return problems;
};

/** The first rule that can't be read or that the check finds something wrong with, and what. */
const firstWrong = (rules: readonly string[], check: (rule: NetworkRule) => string | undefined): string | undefined => {
  for (const text of rules) {
    try {
      const found = check(parseRule(text));
      if (found !== undefined) return `${JSON.stringify(text)} ${found}`;
    } catch (error) {
      if (!(error instanceof RuleError)) throw error;
      return `${JSON.stringify(text)}, ${error.message}`;
    }
  }
  return undefined;
};

/** What is wrong between keys that are each right alone. */
export const crossCheck = (config: RawConfig): readonly Problem[] => {
  const { defaults, leases, database } = config;
  const problems = [
    ...access(config),
    ...addresses(config),
    ...proxies(config),
    ...tls(config),
    ...registries(config),
    ...docker(config),
    ...network(config),
  ];
  for (const origin of config.server.corsAllowedOrigins) {
    const message = originProblem(origin);
    const hint = "Write it like https://app.example.com or http://localhost:3000.";
    if (message !== undefined) problems.push({ path: "server.cors_allowed_origins", message, hint });
  }
  if (database.driver === "postgres" && database.dsn === undefined) {
    const hint = "Set STACYVM_DATABASE_DSN=postgres://user:password@host/name, or database.dsn_file.";
    problems.push({ path: "database.dsn", message: "database.dsn is required for postgres", hint });
  }
  if (defaults.maxTtlMs > 0) {
    problems.push(
      ...order("defaults.ttl", defaults.ttlMs, "defaults.max_ttl", defaults.maxTtlMs, "Raise one or lower the other."),
    );
  }
  if (defaults.maxExecTimeoutMs > 0) {
    problems.push(
      ...order(
        "defaults.default_exec_timeout",
        defaults.defaultExecTimeoutMs,
        "defaults.max_exec_timeout",
        defaults.maxExecTimeoutMs,
        "Raise one or lower the other.",
      ),
    );
  }
  problems.push(
    ...order(
      "leases.renew_interval",
      leases.renewIntervalMs,
      "leases.ttl",
      leases.ttlMs,
      "A third of the ttl leaves room for two missed renewals.",
      true,
    ),
  );
  return problems;
};
