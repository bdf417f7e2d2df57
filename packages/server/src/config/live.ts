import { formatDuration } from "../lib/duration.ts";
import { nearest } from "../lib/edit-distance.ts";
import { crossCheck } from "./cross-checks.ts";
import { ConfigError, type Problem, ValueProblem } from "./problem.ts";
import { productionProblems } from "./production.ts";
import { type Config, type Key, keys, settings } from "./schema.ts";

/** What may change while the server runs; everything else is read once, at start. */
export const livePaths = [
  "defaults.default_exec_timeout",
  "defaults.disk_size_mb",
  "defaults.image",
  "defaults.max_exec_timeout",
  "defaults.max_sandboxes",
  "defaults.max_sandboxes_per_owner",
  "defaults.max_spawn_queue",
  "defaults.max_ttl",
  "defaults.memory_mb",
  "defaults.security",
  "defaults.spawn_overflow",
  "defaults.spawn_queue_timeout",
  "defaults.ttl",
  "defaults.vcpus",
  "logging.level",
  "rate_limit.burst",
  "rate_limit.enabled",
  "rate_limit.requests_per_minute",
] as const;

/** As people write it: durations as text, the rest as it is. */
export type LiveValue = string | number | boolean;

export interface LiveChange {
  readonly path: string;
  readonly before: LiveValue;
  readonly after: LiveValue;
}

const known = new Map(keys.map((key) => [key.path, key]));
const live = new Set<string>(livePaths);
const groups = new Set(keys.flatMap(({ path }) => path.split(".").map((_, at, parts) => parts.slice(0, at).join("."))));
const liveKeys: readonly Key[] = keys.filter(({ path }) => live.has(path));
/** No setting is nested deeper. */
const maxDepth = 8;

const dig = (config: Config, { properties }: Key): unknown =>
  properties.reduce<unknown>((node, name) => (node as Record<string, unknown>)[name], config);

const shown = (config: Config, key: Key): LiveValue => {
  const value = dig(config, key);
  return key.setting.suffix === "Ms" ? formatDuration(value as number) : (value as LiveValue);
};

/** The values of all settings that may change. */
export const liveValues = (config: Config): Readonly<Record<string, LiveValue>> =>
  Object.fromEntries(liveKeys.map((key) => [key.path, shown(config, key)]));

/** `{a: {b: 1}, "a.c": 2}` by whole paths, in lower case. */
const flat = (
  body: Readonly<Record<string, unknown>>,
  fail: (problem: Problem) => void,
): ReadonlyMap<string, unknown> => {
  const values = new Map<string, unknown>();
  const walk = (node: Readonly<Record<string, unknown>>, prefix: string, depth: number): void => {
    for (const [name, value] of Object.entries(node)) {
      const path = `${prefix}${name}`.toLowerCase();
      if (values.has(path)) fail({ path, message: `${path} is given twice`, hint: "Keep one." });
      else if (
        groups.has(path) &&
        typeof value === "object" &&
        value !== null &&
        !Array.isArray(value) &&
        depth < maxDepth
      )
        walk(value as Readonly<Record<string, unknown>>, `${path}.`, depth + 1);
      else values.set(path, value);
    }
  };
  walk(body, "", 0);
  return values;
};

const refusal = (path: string): Problem | undefined => {
  if (live.has(path)) return undefined;
  if (known.has(path) || known.has(path.replace(/_file$/, ""))) {
    const hint = "Change it in the configuration file, or the environment, and restart the server.";
    return { path, message: `${path} can't change while the server runs`, hint };
  }
  const meant = nearest(path, livePaths);
  const hint = meant === undefined ? "GET /api/v1/config lists what may change." : `Did you mean ${meant}?`;
  return { path, message: `${path} is not a setting`, hint };
};

const replaced = (node: object, [name = "", ...rest]: readonly string[], value: unknown): object => {
  const inner = (node as Record<string, unknown>)[name];
  return { ...node, [name]: rest.length === 0 ? value : replaced(inner as object, rest, value) };
};

/** Zero stands for the default where a configuration is loaded too. */
const withQueueDefaults = (config: Config): Config => ({
  ...config,
  defaults: {
    ...config.defaults,
    spawnQueueTimeoutMs: config.defaults.spawnQueueTimeoutMs || settings.defaults.spawnQueueTimeoutMs.fallback,
    maxSpawnQueue: config.defaults.maxSpawnQueue || settings.defaults.maxSpawnQueue.fallback,
  },
});

/**
 * The configuration with some settings changed, judged as a file's would be, by the rules of production too where the
 * server is run for it. Throws ConfigError with everything that is wrong.
 */
export const changedConfig = (config: Config, body: Readonly<Record<string, unknown>>): Config => {
  const problems: Problem[] = [];
  let next = config;
  for (const [path, raw] of flat(body, (problem) => problems.push(problem))) {
    const refused = refusal(path);
    const key = known.get(path);
    if (refused !== undefined || key === undefined) {
      if (refused !== undefined) problems.push(refused);
      continue;
    }
    try {
      // None of them is a path, so that no place matters.
      next = replaced(next, key.properties, key.setting.read(raw, path, { cwd: "/", home: "/" })) as Config;
    } catch (error) {
      if (!(error instanceof ValueProblem)) throw error;
      problems.push({ path, message: error.message, hint: error.hint });
    }
  }
  next = withQueueDefaults(next);
  if (problems.length === 0) {
    problems.push(...crossCheck(next));
    if (next.server.mode === "production")
      problems.push(...productionProblems({ config: next, secretFiles: {} }, () => 0));
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return next;
};

/** The settings as they count now. */
export class LiveConfig {
  readonly #started: Config;
  readonly #onChange: (config: Config) => void;
  #current: Config;

  /** `onChange` is called once the new values count, and must not throw. */
  constructor(started: Config, onChange: (config: Config) => void) {
    this.#started = started;
    this.#current = started;
    this.#onChange = onChange;
  }

  get current(): Config {
    return this.#current;
  }

  /** Paths whose value isn't the one that the server was started with. */
  get changed(): readonly string[] {
    return this.#differences(this.#started).map(({ path }) => path);
  }

  /** All of it or nothing, at once. Throws ConfigError. */
  change(body: Readonly<Record<string, unknown>>): readonly LiveChange[] {
    const before = this.#current;
    this.#current = changedConfig(before, body);
    const changes = this.#differences(before);
    if (changes.length > 0) this.#onChange(this.#current);
    return changes;
  }

  #differences(before: Config): readonly LiveChange[] {
    return liveKeys.flatMap((key) => {
      const [was, is] = [shown(before, key), shown(this.#current, key)];
      return was === is ? [] : [{ path: key.path, before: was, after: is }];
    });
  }
}
