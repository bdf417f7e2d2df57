/** A room of packages/server/src: what it may be imported by follows from its floor. */
export interface Room {
  readonly name: string;
  /** Imports go to a lower floor, or stay in the room. */
  readonly floor: number;
  /** Rooms of one floor with the same group may import one another. */
  readonly group?: string;
}

const roots = 6;
const doors = 5;
const work = 4;
const interfaces = 3;
const rules = 2;
const language = 1;
const ground = 0;

/** Longest prefix first wins; a path ending in "/" is a folder, any other is one file. */
const serverRooms: Readonly<Record<string, Room>> = {
  "main.ts": { name: "main.ts", floor: roots + 1 },
  "local-images.ts": { name: "local-images.ts", floor: roots },
  "tar.ts": { name: "tar.ts", floor: roots },
  "control-plane.ts": { name: "control-plane.ts", floor: roots },
  "worker.ts": { name: "worker.ts", floor: roots },
  "data-dir.ts": { name: "data-dir.ts", floor: work },
  "releases/": { name: "releases", floor: rules },
  "config/": { name: "config", floor: rules },
  "doctor.ts": { name: "doctor.ts", floor: roots },
  "doctor/": { name: "doctor", floor: doors, group: "doors" },
  "http/": { name: "http", floor: doors, group: "doors" },
  "preview/": { name: "preview", floor: doors, group: "doors" },
  "orchestrator/": { name: "orchestrator", floor: work, group: "use cases" },
  "environments/": { name: "environments", floor: work, group: "use cases" },
  "auth/": { name: "auth", floor: work, group: "use cases" },
  "audit/": { name: "audit", floor: work, group: "use cases" },
  "providers/": { name: "providers", floor: work },
  "images/": { name: "images", floor: work },
  "store/": { name: "store", floor: work },
  "guest/agent/": { name: "guest/agent", floor: work, group: "agent client" },
  "guest/wire/": { name: "guest/wire", floor: work, group: "agent client" },
  "egress/": { name: "egress", floor: work },
  "egress/egress.ts": { name: "egress/egress.ts", floor: interfaces, group: "interfaces" },
  "secrets/": { name: "secrets", floor: work },
  "secrets/vault.ts": { name: "secrets/vault.ts", floor: interfaces, group: "interfaces" },
  "guest/guest-folders.ts": { name: "guest/guest-folders.ts", floor: interfaces, group: "interfaces" },
  "guest/guest-processes.ts": { name: "guest/guest-processes.ts", floor: interfaces, group: "interfaces" },
  "guest/guest-ports.ts": { name: "guest/guest-ports.ts", floor: interfaces, group: "interfaces" },
  "guest/guest-watch.ts": { name: "guest/guest-watch.ts", floor: interfaces, group: "interfaces" },
  "guest/guest-uploads.ts": { name: "guest/guest-uploads.ts", floor: interfaces, group: "interfaces" },
  "guest/guest.ts": { name: "guest/guest.ts", floor: interfaces, group: "interfaces" },
  "providers/provider.ts": { name: "providers/provider.ts", floor: interfaces, group: "interfaces" },
  "images/image-store.ts": { name: "images/image-store.ts", floor: interfaces, group: "interfaces" },
  "store/registry-credential-store.ts": {
    name: "store/registry-credential-store.ts",
    floor: interfaces,
    group: "interfaces",
  },
  "store/secret-store.ts": { name: "store/secret-store.ts", floor: interfaces, group: "interfaces" },
  "store/session-store.ts": { name: "store/session-store.ts", floor: interfaces, group: "interfaces" },
  "store/store.ts": { name: "store/store.ts", floor: interfaces, group: "interfaces" },
  "store/tenant-store.ts": { name: "store/tenant-store.ts", floor: interfaces, group: "interfaces" },
  "sandbox/": { name: "sandbox", floor: rules },
  "telemetry/": { name: "telemetry", floor: language },
  "lib/": { name: "lib", floor: ground, group: "ground" },
  "telemetry/log.ts": { name: "telemetry/log.ts", floor: ground, group: "ground" },
};

/** The floor of `@stacyvm/contract` as the server sees it. */
export const contractFloor = language;

/** Files of the server that nobody but main.ts may import. */
export const compositionRoots: readonly string[] = ["control-plane.ts", "worker.ts"];

/** The one file between provider folders: it knows them all. */
export const providerRegistry = "providers/registry.ts";

/** The one file of the server that reads the environment. */
export const environmentReader = "config/load.ts";

/** The only files of the server that make randomness or time. */
export const sourcesOfChance: readonly string[] = ["lib/id.ts", "lib/clock.ts"];

/** Packages whose code runs where Node's modules are missing. */
export const runsAnywhere: readonly string[] = ["contract", "sdk", "dashboard"];

/** What a package may import from outside; its declared dependencies where it isn't named. */
export const allowedDependencies: Readonly<Record<string, readonly string[]>> = { contract: ["zod"], sdk: [] };

/**
 * The room of a file.
 * @param path relative to packages/server/src
 * @returns undefined when no room on the map holds it
 */
export const roomOf = (path: string): Room | undefined => {
  const exact = serverRooms[path];
  if (exact !== undefined) return exact;
  const folder = Object.keys(serverRooms)
    .filter((prefix) => prefix.endsWith("/") && path.startsWith(prefix))
    .sort((a, b) => b.length - a.length)[0];
  return folder === undefined ? undefined : serverRooms[folder];
};

/** `oci` of `providers/oci/spawn.ts`; undefined for a file that all providers share. */
export const providerOf = (path: string): string | undefined =>
  /^providers\/(?!attached-stream\/)([^/]+)\//.exec(path)?.[1];

/** Tests, and what only tests load, may build anything. */
export const isTest = (path: string): boolean =>
  /\.(test|testing|bench)\.[cm]?[jt]sx?$|\.test-d\.ts$|-(contract|fixture)\.ts$|(^|\/)test-[^/]+\.ts$|(^|\/)(test|testing)\//.test(
    path,
  );
