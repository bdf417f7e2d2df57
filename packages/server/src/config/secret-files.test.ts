import { inspect } from "node:util";
import { expect, test } from "vitest";
import { Secret } from "../lib/secret.ts";
import { loadConfig } from "./load.ts";
import { ConfigError } from "./problem.ts";
import { fileKey, type Key, keys } from "./schema.ts";

const isSecret = ({ setting }: Key): boolean => setting.secret === true;
const secretKeys = keys.filter(isSecret);

/** Named like a secret, and none: what it is for says why. */
const noSecrets = new Set([
  "auth.oidc_keys_kept",
  "auth.oidc_public_key",
  "auth.worker_revoked_token_ids",
  "images.no_proxy",
  "rate_limit.key_by",
  "server.tls.key_file",
  "worker.rpc_tls.client_key_file",
  "worker.rpc_tls.server_key_file",
]);

/** A value of each kind, as it stands in a file. */
const samples: Readonly<Record<string, readonly [inFile: string, inline: string]>> = {
  secret: ["hunter2", "hunter2"],
  "list of secrets": ["hunter2\nhunter3\n\nhunter4", "hunter2,hunter3,hunter4"],
  "map of secrets": ['{"a.example": "u:hunter2"}', "a.example=u:hunter2"],
};
const sampleOf = ({ path, setting }: Key): readonly [string, string] =>
  path.endsWith("_proxy")
    ? ["http://u:hunter2@proxy:3128", "http://u:hunter2@proxy:3128"]
    : (samples[setting.type] ?? ["", ""]);

const load = (env: Readonly<Record<string, string>>, content?: string) =>
  loadConfig({
    env,
    cwd: "/srv",
    home: "/home/me",
    uid: 0,
    readFile: (path) => {
      if (path !== "/run/secrets/one") throw Object.assign(new Error("none"), { code: "ENOENT" });
      if (content === undefined) throw Object.assign(new Error("not yours"), { code: "EACCES" });
      return content;
    },
  });

const problems = (...args: Parameters<typeof load>): readonly string[] => {
  try {
    load(...args);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(({ message }) => message);
    throw error;
  }
  return [];
};

/** A Secret's toJSON comes before a replacer. */
const revealed = (value: unknown): unknown => {
  if (value instanceof Secret) return value.reveal();
  if (Array.isArray(value)) return value.map(revealed);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, revealed(one)]));
};

test("whatever is named like a secret is one, or is known not to be", () => {
  const alike = keys.filter(({ path }) => /key|token|secret|password|credential|dsn|_proxy$|passphrase/.test(path));
  expect(
    alike
      .filter((key) => !isSecret(key))
      .map(({ path }) => path)
      .toSorted(),
  ).toEqual([...noSecrets].toSorted());
  expect(secretKeys.length).toBeGreaterThan(10);
});

test.each(secretKeys.map((key) => [key.path, key] as const))("%s may be in a file", (path, key) => {
  const [inFile, inline] = sampleOf(key);
  const dig = (config: unknown): unknown => key.properties.reduce((node, name) => (node as never)[name], config);
  const plain = (env: Record<string, string>, content?: string) =>
    JSON.stringify(revealed(dig(load(env, content).config)));
  const variable = fileKey(key).env;
  const byFile = { [variable]: "/run/secrets/one" };
  const expected = plain({ [key.env]: inline });
  expect(expected).toContain("hunter2");
  for (const end of ["", "\n", "\r\n", "\n\n"]) expect(plain(byFile, inFile + end)).toBe(expected);
  const { config, secretFiles } = load(byFile, inFile);
  expect(secretFiles).toEqual({ [`${path}_file`]: "/run/secrets/one" });
  expect(inspect(config, { depth: 20 }) + JSON.stringify(config)).not.toMatch(/hunter\d/);

  const both = problems({ ...byFile, [key.env]: inline }, inFile);
  expect(both).toEqual([`${path} and ${path}_file cannot both be set`]);
  expect(problems(byFile, " \n")).toEqual([`${path}_file is empty`]);
  expect(problems(byFile)).toEqual([`${path}_file can't be read: EACCES`]);
});
