import { auth, database, defaults, rateLimit, worker } from "./access-settings.ts";
import type { Setting } from "./kinds.ts";
import { network } from "./network-settings.ts";
import { pool, providers } from "./provider-settings.ts";
import {
  dataDir,
  disk,
  images,
  leases,
  limits,
  logging,
  reaper,
  reconcile,
  retention,
  server,
} from "./server-settings.ts";

/** Every setting there is; its keys are the properties' names in snake_case, without the unit. */
export const settings = {
  server,
  dataDir,
  disk,
  images,
  providers,
  network,
  defaults,
  limits,
  leases,
  reaper,
  reconcile,
  retention,
  auth,
  rateLimit,
  database,
  logging,
  pool,
  worker,
} as const;

type ValuesOf<S> = {
  readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : ValuesOf<S[K]>;
};

/** The values, as the program uses them: durations in milliseconds, sizes in bytes, paths absolute. */
export type RawConfig = ValuesOf<typeof settings>;

/** After the checks across keys: nothing is left to decide. */
export type Config = Omit<RawConfig, "auth" | "providers"> & {
  readonly auth: Omit<RawConfig["auth"], "enabled"> & { readonly enabled: boolean };
  readonly providers: Omit<RawConfig["providers"], "proot" | "docker"> & {
    readonly docker: Omit<RawConfig["providers"]["docker"], "enabled"> & { readonly enabled: boolean };
    readonly proot: Omit<RawConfig["providers"]["proot"], "enabled"> & { readonly enabled: boolean };
  };
};

/** One key as people write it. */
export interface Key {
  /** For example "defaults.max_ttl". */
  readonly path: string;
  /** For example "STACYVM_DEFAULTS_MAX_TTL". */
  readonly env: string;
  /** The properties that lead to the value. */
  readonly properties: readonly string[];
  readonly setting: Setting<unknown>;
}

/** Of a key whose value may be kept in a file. */
export const fileKey = (key: Key): { readonly path: string; readonly env: string } => ({
  path: `${key.path}_file`,
  env: `${key.env}_FILE`,
});

const isSetting = (node: object): node is Setting<unknown> => "read" in node;

const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

const collect = (node: object, path: string, properties: readonly string[]): Key[] =>
  Object.entries(node).flatMap(([name, child]: [string, object]) => {
    const suffix = isSetting(child) ? (child.suffix ?? "") : "";
    if (!name.endsWith(suffix)) throw new TypeError(`${path}.${name} must end in ${suffix}, as what it holds is one`);
    const own = snake(name.slice(0, name.length - suffix.length));
    const full = path === "" ? own : `${path}.${own}`;
    const way = [...properties, name];
    if (!isSetting(child)) return collect(child, full, way);
    return [{ path: full, env: `STACYVM_${full.replaceAll(".", "_").toUpperCase()}`, properties: way, setting: child }];
  });

/** In the order of the reference. */
export const keys: readonly Key[] = collect(settings, "", []);
