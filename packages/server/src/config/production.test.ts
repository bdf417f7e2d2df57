import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { fencedBlocks } from "../../../../test/docs/fenced-blocks.ts";
import { loadConfig } from "./load.ts";
import { ConfigError } from "./problem.ts";
import { productionProblems, productionRules, requireProduction } from "./production.ts";

const pageOf = (name: string): string =>
  readFileSync(fileURLToPath(new URL(`../../../../docs/${name}`, import.meta.url)), "utf8");
const [example = ""] = fencedBlocks(pageOf("production.md"), "yaml");
const secrets = "/etc/stacyvm/secrets";
const files: Record<string, string> = {
  [`${secrets}/api-key`]: `${"a1".repeat(32)}\n`,
  [`${secrets}/admin-api-key`]: `${"b2".repeat(32)}\n`,
  [`${secrets}/secrets-key`]: `${"c3".repeat(32)}\n`,
  [`${secrets}/database-dsn`]: "postgres://stacyvm:pw@db.example/stacyvm?sslmode=verify-full\n",
};

type Tree = { [name: string]: Tree | unknown };

/** The example with some keys set, or, by undefined, removed. */
const load = (changes: Readonly<Record<string, unknown>> = {}, uid = 0, text = example) => {
  const tree = parse(text) as Tree;
  for (const [path, value] of Object.entries(changes)) {
    const names = path.split(".");
    const last = names.pop() ?? "";
    let node = tree;
    for (const name of names) {
      node[name] ??= {};
      node = node[name] as Tree;
    }
    if (value === undefined) delete node[last];
    else node[last] = value;
  }
  const content: Record<string, string> = { "/srv/stacyvm.yaml": stringify(tree), ...files };
  const readFile = (path: string) => {
    const text = content[path];
    if (text === undefined) throw Object.assign(new Error("no such file"), { code: "ENOENT" });
    return text;
  };
  return loadConfig({ env: {}, cwd: "/srv", home: "/home/me", uid, readFile });
};

const told = (changes: Readonly<Record<string, unknown>>, uid = 0) =>
  productionProblems(load(changes, uid), () => 0o600).map(({ path, message, hint }) => `${path}: ${message} | ${hint}`);

test("the example of the documentation starts", () => {
  expect(example).toContain("mode: production");
  expect(told({})).toEqual([]);
  expect(() => requireProduction(load())).not.toThrow();
});

test("the configuration of the tour starts", () => {
  const [, text = ""] = pageOf("secure.md").split(/<<'YAML'\n|\nYAML\n/);
  expect(text).toContain("mode: production");
  const keys = {
    "auth.api_key_file": `${secrets}/api-key`,
    "auth.admin_api_key_file": `${secrets}/admin-api-key`,
    "server.secrets_key_file": `${secrets}/secrets-key`,
  };
  expect(productionProblems(load(keys, 0, text), () => 0o600)).toEqual([]);
});

const noKeyFile = { "auth.api_key_file": undefined };
const noAdminFile = { "auth.admin_api_key_file": undefined };
const issuer = { "auth.oidc_issuer": "https://login.example/", "auth.oidc_audience": "stacyvm" };
const sqlite = { "database.driver": "sqlite", "database.dsn_file": undefined };
const dsn = (value: string) => ({ "database.dsn_file": undefined, "database.dsn": value });
const short = "s".repeat(31);
const long = "l".repeat(32);

const bad: readonly (readonly [setting: string, changes: Readonly<Record<string, unknown>>, says: string])[] = [
  ["auth.api_key", { ...noKeyFile, "auth.api_key": short }, "shorter than 32 bytes"],
  ["auth.api_key", { ...noKeyFile, "auth.api_key": `please-change-me-${long}` }, "placeholder"],
  ["auth.admin_api_key", { ...noAdminFile, "auth.admin_api_key": short }, "shorter than 32 bytes"],
  ["auth.admin_api_key", noAdminFile, "not set"],
  ["auth.admin_api_key", { ...noAdminFile, ...issuer }, "not set"],
  ["auth.worker_token", { "auth.worker_token": short }, "shorter"],
  ["auth.worker_tokens", { "auth.worker_tokens": { a: long, b: short } }, "shorter"],
  ["auth.worker_signing_key", { "auth.worker_signing_key": short }, "shorter"],
  ["auth.worker_signing_key", { "auth.worker_signing_keys": [long] }, "without auth.worker_signing_key"],
  [
    "auth.worker_signing_keys",
    { "auth.worker_signing_key": long, "auth.worker_signing_keys": ["o".repeat(32), short] },
    "shorter",
  ],
  ["server.secrets_key", { "server.secrets_key": short }, "shorter"],
  ["server.previous_secrets_keys", { "server.secrets_key": long, "server.previous_secrets_keys": [short] }, "shorter"],
  ["server.previous_secrets_keys", { "server.previous_secrets_keys": [long] }, "without server.secrets_key"],
  ["server.previous_secrets_keys", { "server.secrets_key": long, "server.previous_secrets_keys": [long] }, "among it"],
  ["auth", { ...noAdminFile, "auth.admin_api_key": "a1".repeat(32) }, "admin_api_key is the same as auth.api_key"],
  ["auth", { "auth.worker_signing_key": "b2".repeat(32) }, "worker_signing_key is the same as auth.admin_api_key"],
  ["auth.admin_fallback_enabled", { "auth.admin_fallback_enabled": undefined }, "open administration"],
  ["auth.admin_fallback_enabled", { "auth.admin_fallback_enabled": true }, "open administration"],
  [
    "auth.oidc_issuer",
    { ...issuer, "auth.oidc_issuer": "", "auth.oidc_jwks_url": "https://login.example/keys" },
    "not set",
  ],
  ["auth.oidc_audience", { ...issuer, "auth.oidc_audience": "" }, "not set"],
  ["auth.oidc_default_role", { ...issuer, "auth.oidc_default_role": "viewer" }, "gives viewer"],
  ["server.insecure", { "server.insecure": true }, "is on"],
  ["server.tls", { "server.tls": undefined }, "in plain HTTP"],
  ["server.trusted_proxies", { "server.trusted_proxies": ["10.0.0.1", "0.0.0.0/0"] }, "every address"],
  ["server.trusted_proxies", { "server.trusted_proxies": ["::/0"] }, "every address"],
  ["server.public_url", { "server.public_url": undefined }, "not set"],
  ["server.public_url", { "server.public_url": "http://sandboxes.example.com" }, "not an https address"],
  ["server.preview_domain", { "server.preview_domain": "preview.example.com" }, "shares its site"],
  [
    "server.preview_domain",
    { "server.public_url": "https://vm.corp.co.uk", "server.preview_domain": "corp.co.uk" },
    "shares its site",
  ],
  ["server.cors_allowed_origins", { "server.cors_allowed_origins": undefined }, "every web page"],
  ["server.cors_allowed_origins", { "server.cors_allowed_origins": ["https://a.example", "*"] }, "every web page"],
  ["rate_limit.enabled", { "rate_limit.enabled": false }, "is off"],
  ["rate_limit.enabled", { "rate_limit.requests_per_minute": 0 }, "is off"],
  ["providers.mock.enabled", { "providers.mock.enabled": true }, "without any wall"],
  [
    "providers.proot.network_mode",
    { "providers.proot.enabled": true, "providers.proot.network_mode": "host" },
    "this machine's network",
  ],
  ["network.open", { "network.open": ["127.0.0.1/32:5432"] }, "this host itself"],
  ["network.open", { "network.open": ["10.1.2.3/32:5432", "0.0.0.0/0:443"] }, "this host itself"],
  ["network.open", { "network.open": ["169.254.169.254/32:80"] }, "its cloud's metadata"],
  ["network.open", { "network.open": ["[::1/128]:80"] }, "this host itself"],
  ["defaults.max_sandboxes", { "defaults.max_sandboxes": undefined }, "bounds nothing"],
  ["defaults.max_sandboxes_per_owner", { "defaults.max_sandboxes_per_owner": 0 }, "one owner take all"],
  ["defaults.max_ttl", { "defaults.max_ttl": "0s" }, "bounds nothing"],
  ["defaults.max_exec_timeout", { "defaults.max_exec_timeout": "0s" }, "bounds nothing"],
  ["database.path", { ...sqlite, "database.path": ":memory:" }, "forgets"],
  ["database.dsn", dsn("postgres://u:p@db.example/x"), "without TLS"],
  ["database.dsn", dsn("postgres://u:p@db.example/x?sslmode=disable"), "without TLS"],
  ["database.dsn", dsn("postgres://u:p@db.example/x?sslmode=no-verify"), "without TLS"],
  ["database.dsn", dsn("postgres:///x?host=10.0.0.7"), "without TLS"],
  ["worker.rpc_tls.insecure_skip_verify", { "worker.rpc_tls.insecure_skip_verify": true }, "any certificate"],
  ["logging.level", { "logging.level": "disabled" }, "no trace"],
];

test.each(bad)("%s is refused alone, of %j, and says what to do", (setting, changes, says) => {
  const problems = told(changes);
  expect(problems).toEqual([
    expect.stringMatching(new RegExp(`^${setting.replaceAll(".", "\\.")}: .*(${says}).* \\| .+`)),
  ]);
  for (const secret of [short, long, "u:p"]) expect(problems.join("\n")).not.toContain(secret);
});

test("without any credential nobody is known", () => {
  const changes = { ...noKeyFile, ...noAdminFile, "server.host": "127.0.0.1" };
  expect(told(changes)).toEqual([
    expect.stringMatching(/^auth.enabled: no credential is configured \| Set /),
    expect.stringMatching(/^auth.admin_api_key: .*not set/),
  ]);
});

test("every rule is tried, and every setting of the page's table is one", () => {
  const tried = new Set([...bad.map(([setting]) => setting), "auth.enabled"]);
  expect([...tried].toSorted()).toEqual([...new Set(productionRules.map(({ setting }) => setting))].toSorted());
  for (const { setting } of productionRules)
    expect(pageOf("production.md"), setting).toContain(setting.split(".").at(-1));
});

test.each([
  ["a loopback address in plain HTTP", { "server.tls": undefined, "server.host": "127.0.0.1" }],
  ["a proxy of ours in front", { "server.tls": undefined, "server.trusted_proxies": ["10.0.0.1"] }],
  ["administrators of an issuer alone", { ...noKeyFile, ...noAdminFile, ...issuer, "auth.oidc_admin_groups": ["ops"] }],
  ["a database on this machine", dsn("postgres://u:p@localhost/x")],
  ["a database at a socket", dsn("postgres:///x?host=/run/postgresql")],
  ["SQLite", sqlite],
  ["keys of 32 bytes", { ...noKeyFile, "auth.api_key": long, "auth.worker_signing_key": "w".repeat(32) }],
  ["other tenants of a public suffix", { "server.public_url": "https://a.co.uk", "server.preview_domain": "b.co.uk" }],
])("%s may be", (_what, changes) => {
  expect(told(changes)).toEqual([]);
});

test.each([0o644, 0o604, 0o602, 0o666])(
  "files of secrets that everybody has a right to are refused: mode %o",
  (mode) => {
    const subject = load({ ...noKeyFile, "auth.api_key": long });
    const problems = productionProblems(subject, () => mode);
    expect(problems.map(({ path }) => path).toSorted()).toEqual([
      "auth.admin_api_key_file",
      "configuration file",
      "database.dsn_file",
      "server.tls.key_file",
    ]);
    for (const { message, hint } of problems) {
      expect(message).toContain(`(mode 0${mode.toString(8)})`);
      expect(hint).toMatch(/^chmod 600 \//);
    }
    expect(productionProblems(load(), (path) => (path.endsWith(".yaml") ? mode : 0o640))).toEqual([]);
  },
);

test("only in production, and then all at once", () => {
  const worst = { "server.mode": "development", "rate_limit.enabled": false, "providers.mock.enabled": true };
  expect(() => requireProduction(load(worst))).not.toThrow();
  try {
    requireProduction(load({ ...worst, "server.mode": "production" }));
    expect.unreachable();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    expect(error.problems.map(({ path }) => path)).toEqual(["rate_limit.enabled", "providers.mock.enabled"]);
    expect(error.message).toMatch(/^the configuration is not fit for server.mode production, for 2 problem\(s\):/);
  }
});
