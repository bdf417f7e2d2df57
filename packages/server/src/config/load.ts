import { accessSync, constants, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { nearest } from "../lib/edit-distance.ts";
import { crossCheck, hasCredential } from "./cross-checks.ts";
import { parseFile } from "./files.ts";
import { ConfigError, type Problem, ValueProblem } from "./problem.ts";
import { type Config, fileKey, type Key, keys, type RawConfig, settings } from "./schema.ts";

export interface LoadOptions {
  /** The only file that is read, and it must exist. */
  readonly argvConfigPath?: string;
  /** Keys given on the command line, as text; they count above everything else. */
  readonly overrides?: Readonly<Record<string, string>>;
  readonly env?: Environment;
  readonly cwd?: string;
  readonly home?: string;
  /** Of the process; 0 is root. */
  readonly uid?: number;
  /** Throws as readFileSync does. */
  readonly readFile?: (path: string) => string;
  /** Whether this user may write to a socket; asks the file system where absent. */
  readonly mayUse?: (path: string) => boolean;
}

export interface LoadedConfig {
  readonly config: Config;
  /** Where each key's value came from: "default", a file's path, or a variable's name. */
  readonly sources: Readonly<Record<string, string>>;
  /** Files that hold secrets: those named by `…_file` under that key, and a configuration that has secrets inline. */
  readonly secretFiles: Readonly<Record<string, string>>;
}

const groups = new Set(
  keys.flatMap(({ path }) => path.split(".").map((_, index, parts) => parts.slice(0, index).join("."))),
);
const known = new Map<string, Key | { readonly secretFileOf: Key }>([
  ...keys.map((key) => [key.path, key] as const),
  ...keys.filter((key) => key.setting.fromFile).map((key) => [fileKey(key).path, { secretFileOf: key }] as const),
]);

const errorCode = (error: unknown): string =>
  error instanceof Error && "code" in error ? String(error.code) : "unknown error";

/** Reads files, the environment and the defaults into one tree. Throws ConfigError with everything that is wrong. */
export const loadConfig = (options: LoadOptions = {}): LoadedConfig => {
  const env = options.env ?? process.env;
  const cwd = options.cwd ?? process.cwd();
  const home = options.home ?? homedir();
  const uid = options.uid ?? process.getuid?.() ?? 0;
  const readFile = options.readFile ?? ((path: string) => readFileSync(path, "utf8"));
  const problems: Problem[] = [];

  const readFirst = (): { readonly path: string; readonly text: string } | undefined => {
    const explicit = options.argvConfigPath;
    const candidates =
      explicit === undefined
        ? [join(cwd, "stacyvm.yaml"), join(home, ".stacyvm", "config.yaml")]
        : [resolve(cwd, explicit)];
    for (const path of candidates) {
      try {
        return { path, text: readFile(path) };
      } catch (error) {
        const code = errorCode(error);
        if (explicit === undefined && (code === "ENOENT" || code === "ENOTDIR")) continue;
        const hint =
          explicit === undefined ? "Make it readable, or move it away." : "Check the path given to --config.";
        problems.push({ path, message: `${path} can't be read: ${code}`, hint });
        return undefined;
      }
    }
    return undefined;
  };

  const file = readFirst();
  const inFile = file && parseFile(file.path, file.text, (path) => groups.has(path));
  problems.push(...(inFile?.problems ?? []));
  for (const path of inFile?.values.keys() ?? []) {
    if (known.has(path)) continue;
    const meant = groups.has(path) ? undefined : nearest(path, [...known.keys(), ...groups].filter(Boolean));
    const message = groups.has(path) ? `${path} must be a map of settings` : `${path} is not a known key`;
    const hint =
      meant === undefined ? "See docs/generated/config.md for the keys there are." : `Did you mean ${meant}?`;
    problems.push({ path, message, hint });
  }

  /** The value that counts, from the highest place that sets the key. An empty variable sets nothing. */
  const given = (path: string, variable: string): { readonly raw: unknown; readonly source: string } | undefined => {
    const override = options.overrides?.[path];
    if (override !== undefined) return { raw: override, source: "command line" };
    const text = env[variable];
    if (text !== undefined && text !== "") return { raw: text, source: variable };
    const raw = inFile?.values.get(path);
    // A key without a value sets nothing.
    return raw === undefined || raw === null ? undefined : { raw, source: file?.path ?? "" };
  };

  const fromFile = (key: Key, path: string): string | undefined => {
    const at = fileKey(key).path;
    try {
      const text = readFile(resolve(cwd, path)).trim();
      if (text !== "") return text;
      problems.push({ path: at, message: `${at} is empty`, hint: "Write the value into the file, or remove the key." });
    } catch (error) {
      problems.push({
        path: at,
        message: `${at} can't be read: ${errorCode(error)}`,
        hint: "Check the file's path and mode.",
      });
    }
    return undefined;
  };

  const sources: Record<string, string> = {};
  const secretFiles: Record<string, string> = {};
  const readKey = (key: Key): unknown => {
    const { path, setting } = key;
    let found = given(path, key.env);
    const other = setting.fromFile ? given(fileKey(key).path, fileKey(key).env) : undefined;
    if (other !== undefined && other.raw !== "") {
      if (found !== undefined && found.raw !== "") {
        const message = `${path} and ${path}_file cannot both be set`;
        problems.push({ path, message, hint: "Keep the file." });
        return setting.fallback;
      }
      const text = fromFile(key, String(other.raw));
      if (text === undefined) return setting.fallback;
      if (setting.secret) secretFiles[fileKey(key).path] = resolve(cwd, String(other.raw));
      found = { raw: text, source: other.source };
    } else if (setting.secret && found !== undefined && found.source === file?.path)
      secretFiles["configuration file"] = file.path;
    sources[path] = found?.source ?? "default";
    try {
      if (found === undefined) {
        return setting.type === "path" ? setting.read(setting.fallback, path, { cwd, home }) : setting.fallback;
      }
      return setting.read(normalised(path, found.raw), path, { cwd, home });
    } catch (error) {
      if (!(error instanceof ValueProblem)) throw error;
      problems.push({ path, message: error.message, hint: error.hint || `It came from ${found?.source}.` });
      return setting.fallback;
    }
  };

  const tree: Record<string, unknown> = {};
  for (const key of keys) plant(tree, key.properties, readKey(key));
  const config = tree as unknown as RawConfig;
  problems.push(...crossCheck(config));
  if (problems.length > 0) throw new ConfigError(problems);
  return {
    config: complete(config, { shareHome: dataHome(env, home), uid, env, mayUse: options.mayUse ?? canWrite }),
    sources,
    secretFiles,
  };
};

const plant = (tree: Record<string, unknown>, [name = "", ...rest]: readonly string[], value: unknown): void => {
  if (rest.length === 0) {
    tree[name] = value;
    return;
  }
  tree[name] ??= {};
  plant(tree[name] as Record<string, unknown>, rest, value);
};

const driverAliases = new Map([
  ["sqlite3", "sqlite"],
  ["postgresql", "postgres"],
]);

/** Old spellings, and the one refusal that has its own words. */
const normalised = (path: string, raw: unknown): unknown => {
  if (path !== "database.driver" || typeof raw !== "string") return raw;
  const driver = driverAliases.get(raw.toLowerCase()) ?? raw.toLowerCase();
  if (driver !== "sqlite" && driver !== "postgres") {
    throw new ValueProblem(`unsupported database.driver ${JSON.stringify(raw)}`, "Use sqlite or postgres.");
  }
  return driver;
};

type Environment = Readonly<Record<string, string | undefined>>;

const usualSocket = "/var/run/docker.sock";

const canWrite = (path: string): boolean => {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
};

/** Whoever starts the server has an engine at hand. */
const offersEngine = ({ DOCKER_HOST: host = "" }: Environment, mayUse: (path: string) => boolean): boolean =>
  host !== "" || mayUse(usualSocket);

/** Docker's own variables count where the address isn't configured. */
const engineAddress = ({ socket, tlsDir }: RawConfig["providers"]["docker"], env: Environment) =>
  socket !== ""
    ? { socket, tlsDir }
    : {
        socket: env.DOCKER_HOST || `unix://${usualSocket}`,
        tlsDir: tlsDir || (env.DOCKER_CERT_PATH ?? ""),
      };

/** Where a user's programs keep their data; a relative path there counts as none. */
const dataHome = ({ XDG_DATA_HOME: set = "" }: Environment, home: string): string =>
  isAbsolute(set) ? set : join(home, ".local", "share");

/** Fills in what follows from other keys. */
const complete = (
  raw: RawConfig,
  {
    shareHome,
    uid,
    env,
    mayUse,
  }: {
    readonly shareHome: string;
    readonly uid: number;
    readonly env: Environment;
    readonly mayUse: (path: string) => boolean;
  },
): Config => {
  const dataDir = raw.dataDir !== "" ? raw.dataDir : uid === 0 ? "/var/lib/stacyvm" : join(shareHome, "stacyvm");
  const { database, defaults, images, providers } = raw;
  return {
    ...raw,
    dataDir,
    database: { ...database, path: database.path || join(dataDir, "stacyvm.db") },
    images: { ...images, storeDir: images.storeDir || join(dataDir, "images") },
    providers: {
      ...providers,
      oci: { ...providers.oci, stateDir: providers.oci.stateDir || join(dataDir, "oci") },
      docker: {
        ...providers.docker,
        ...engineAddress(providers.docker, env),
        enabled: providers.docker.enabled ?? (uid !== 0 && offersEngine(env, mayUse)),
      },
      proot: { ...providers.proot, enabled: providers.proot.enabled ?? uid !== 0 },
    },
    defaults: {
      ...defaults,
      spawnQueueTimeoutMs: defaults.spawnQueueTimeoutMs || settings.defaults.spawnQueueTimeoutMs.fallback,
      maxSpawnQueue: defaults.maxSpawnQueue || settings.defaults.maxSpawnQueue.fallback,
    },
    auth: { ...raw.auth, enabled: raw.auth.enabled ?? hasCredential(raw) },
  };
};
