import { readdir, readFile, realpath } from "node:fs/promises";
import { join, relative } from "node:path";
import { engineObjects } from "./engines.ts";
import { packetFilters } from "./packet-filters.ts";
import { ownProcesses } from "./processes.ts";
import { heldLeases, livingRows, sandboxIds } from "./rows.ts";

/** What is ours on a host: other work beside it is not looked at. */
export interface LeakScope {
  /** Data directory of a server; it need not run. */
  readonly dataDir: string;
  /** Its database file; `<dataDir>/stacyvm.db` where absent. */
  readonly databasePath?: string;
  /** Sockets of container engines that the server may have used. */
  readonly engines?: readonly string[];
  /** Servers, which may stay: they and their host programs are no leak. The namespaces that they hold are. */
  readonly servers?: readonly number[];
}

export const leakKinds = [
  "containers",
  "processes",
  "cgroups",
  "namespaces",
  "mounts",
  "loop devices",
  "sockets",
  "packet filters",
  "files",
  "image references",
  "image pins",
  "rows",
  "leases",
] as const;

export type LeakKind = (typeof leakKinds)[number];

/** Kind to the names of what there is. */
export type OwnSnapshot = Readonly<Record<LeakKind, ReadonlySet<string>>>;

const orEmpty = async <T>(reading: Promise<T>, otherwise: T): Promise<T> => {
  try {
    return await reading;
  } catch {
    return otherwise; // it ended while we looked
  }
};

/** Directories `stacyvm-<id>` of our sandboxes in every hierarchy; others of that name are another server's. */
const cgroups = async (ids: ReadonlySet<string>): Promise<Set<string>> => {
  const found = new Set<string>();
  const hierarchies = ["/sys/fs/cgroup"];
  for (const name of await orEmpty(readdir("/sys/fs/cgroup"), [])) hierarchies.push(join("/sys/fs/cgroup", name));
  for (const directory of hierarchies) {
    for (const name of await orEmpty(readdir(directory), [])) {
      if (name.startsWith("stacyvm-") && ids.has(name.slice("stacyvm-".length))) found.add(join(directory, name));
    }
  }
  return found;
};

const loopDevices = async (below: (path: string) => boolean): Promise<Map<string, string>> => {
  const found = new Map<string, string>();
  for (const name of await orEmpty(readdir("/sys/block"), [])) {
    const file = (await orEmpty(readFile(`/sys/block/${name}/loop/backing_file`, "utf8"), "")).trim();
    if (below(file)) found.set(`/dev/${name}`, file);
  }
  return found;
};

/** Mounts that our own mount namespace shows: below the directory, from it, or of one of its loop devices. */
const mounts = async (below: (path: string) => boolean, loops: ReadonlyMap<string, string>) => {
  const found = new Set<string>();
  const held = new Set<string>();
  for (const line of (await readFile("/proc/self/mountinfo", "utf8")).trim().split("\n")) {
    const [left = "", right = ""] = line.split(" - ");
    const fields = left.split(" ");
    const [type = "", source = "", options = ""] = right.split(" ");
    const [root = "", point = ""] = fields.slice(3).map((path) => path.replaceAll("\\040", " "));
    const named = options.split(",").map((option) => option.slice(option.indexOf("=") + 1));
    if (![point, root, source, ...named].some(below) && !loops.has(source)) continue;
    found.add(`${point} ${type} ${source}`);
    // A bind mount of a namespace's file keeps it without a process.
    if (type === "nsfs") held.add(root);
  }
  return { mounts: found, held };
};

const sockets = async (dataDir: string): Promise<Set<string>> => {
  const lines = (await readFile("/proc/net/unix", "utf8")).trim().split("\n");
  // An abstract name begins with "@".
  const names = lines.map((line) => line.split(/\s+/).slice(7).join(" "));
  return new Set(names.filter((name) => name.includes(`${dataDir}/`) || name.endsWith(dataDir)));
};

/** Of images only the directory: their trees are content. The database's side files come and go. */
const files = async (dataDir: string, imagesDir: string, databasePath: string): Promise<Set<string>> => {
  const found = new Set<string>();
  const walk = async (directory: string): Promise<void> => {
    for (const entry of await orEmpty(readdir(directory, { withFileTypes: true }), [])) {
      const path = join(directory, entry.name);
      if (path === imagesDir || path.startsWith(databasePath)) continue;
      found.add(relative(dataDir, path));
      if (entry.isDirectory()) await walk(path);
    }
  };
  await walk(dataDir);
  return found;
};

/** The references that images have, and the trees without one; pins are what spawns under way hold. */
const images = async (imagesDir: string) => {
  const names = async (folder: string) => await orEmpty(readdir(join(imagesDir, folder)), []);
  const references = (await names("refs")).map(async (name) => {
    const text = await orEmpty(readFile(join(imagesDir, "refs", name), "utf8"), "{}");
    return String((JSON.parse(text) as { readonly reference?: string }).reference ?? name);
  });
  const trees = (await names("trees")).map((name) => `tree ${name}`);
  const unfinished = (await names("tmp")).map((name) => `unfinished ${name}`);
  return {
    references: new Set([...(await Promise.all(references)), ...trees, ...unfinished]),
    pins: await names("pins"),
  };
};

/** What of the scope exists now. */
export const ownSnapshot = async (scope: LeakScope): Promise<OwnSnapshot> => {
  const dataDir = await orEmpty(realpath(scope.dataDir), scope.dataDir);
  const imagesDir = join(dataDir, "images");
  const databasePath = scope.databasePath ?? join(dataDir, "stacyvm.db");
  const below = (path: string) => path === dataDir || path.startsWith(`${dataDir}/`);
  const serverId = (await orEmpty(readFile(join(dataDir, "server-id"), "utf8"), "")).trim();
  const ids = await sandboxIds(dataDir, databasePath);
  const loops = await loopDevices(below);
  const { mounts: mounted, held } = await mounts(below, loops);
  const { processes, namespaces } = await ownProcesses({ dataDir, ids, servers: scope.servers ?? [] });
  const { references, pins } = await images(imagesDir);
  const runtimes = await orEmpty(readdir(join(dataDir, "oci", "runtime")), []);
  const engines = await Promise.all((scope.engines ?? []).map((socket) => engineObjects(socket, serverId)));
  return {
    containers: new Set([...runtimes.map((name) => `oci ${name}`), ...engines.flat()]),
    processes,
    cgroups: await cgroups(ids),
    namespaces: new Set([...namespaces, ...held]),
    mounts: mounted,
    "loop devices": new Set([...loops].map(([name, file]) => `${name} ${file}`)),
    sockets: await sockets(dataDir),
    // The host program has the directory as it was given.
    "packet filters": await packetFilters([dataDir, scope.dataDir]),
    files: await files(dataDir, imagesDir, databasePath),
    "image references": references,
    "image pins": new Set(pins),
    rows: livingRows(databasePath),
    leases: heldLeases(databasePath),
  };
};

/** What is in the later snapshot and was not in the earlier one, as `kind: name`. */
export const leftOver = (before: OwnSnapshot, after: OwnSnapshot): readonly string[] =>
  leakKinds.flatMap((kind) =>
    [...after[kind]].filter((name) => !before[kind].has(name)).map((name) => `${kind}: ${name}`),
  );

/**
 * Looks again until nothing is left over or the time is up: the kernel frees some things a moment after their last use.
 * @returns what is left over at the last look
 */
export const settledLeftOver = async (
  before: OwnSnapshot,
  scope: LeakScope,
  withinMs: number,
): Promise<readonly string[]> => {
  const until = performance.now() + withinMs;
  for (;;) {
    const left = leftOver(before, await ownSnapshot(scope));
    if (left.length === 0 || performance.now() > until) return left;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};
