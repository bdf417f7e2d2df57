import { readdir, readFile, readlink } from "node:fs/promises";

const namespaceKinds = ["net", "mnt", "pid", "user", "ipc", "uts", "cgroup"] as const;

const orEmpty = async (reading: Promise<string>): Promise<string> => {
  try {
    return await reading;
  } catch {
    return ""; // it ended while we looked
  }
};

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly name: string;
  readonly startTicks: string;
  readonly namespaces: readonly string[];
  /** It has ended, and its parent has not asked yet. */
  readonly isZombie: boolean;
  readonly isOurs: boolean;
}

/** Whose directory, program, root or arguments lie below the data directory, or whose cgroup or tree is one of our sandboxes'. */
const belongs = async (pid: string, dataDir: string, ids: ReadonlySet<string>): Promise<boolean> => {
  const at = `/proc/${pid}`;
  const groups = await orEmpty(readFile(`${at}/cgroup`, "utf8"));
  for (const [, id = ""] of groups.matchAll(/\/stacyvm-([a-z0-9-]+)/g)) if (ids.has(id)) return true;
  for (const link of ["cwd", "exe", "root"]) {
    if ((await orEmpty(readlink(`${at}/${link}`))).startsWith(`${dataDir}/`)) return true;
  }
  // Of one that hides its program, the mount of its tree still tells: /trees/<sandbox> as its file system names it.
  for (const [, id = ""] of (await orEmpty(readFile(`${at}/mountinfo`, "utf8"))).matchAll(
    /\/trees\/([^\s/]+)(?:\/\/deleted)? /g,
  )) {
    if (ids.has(id)) return true;
  }
  const words = await orEmpty(readFile(`${at}/cmdline`, "utf8"));
  return words.includes(`${dataDir}/`) || words.includes(`${dataDir}\0`);
};

const allProcesses = async (dataDir: string, ids: ReadonlySet<string>): Promise<readonly Process[]> => {
  const found: Process[] = [];
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    const stat = await orEmpty(readFile(`/proc/${pid}/stat`, "utf8"));
    const end = stat.lastIndexOf(")");
    const [state, parent, ...rest] = stat.slice(end + 2).split(" ");
    if (state === undefined || parent === undefined) continue;
    const links = namespaceKinds.map((kind) => orEmpty(readlink(`/proc/${pid}/ns/${kind}`)));
    found.push({
      pid: Number(pid),
      parent: Number(parent),
      name: stat.slice(stat.indexOf("(") + 1, end),
      startTicks: rest[17] ?? "",
      isZombie: state === "Z",
      namespaces: (await Promise.all(links)).filter((name) => name !== ""),
      isOurs: await belongs(pid, dataDir, ids),
    });
  }
  return found;
};

/** Who asks: this process and all above it, whose arguments may well name the directory. */
const askers = (all: readonly Process[]): Set<number> => {
  const parents = new Map(all.map(({ pid, parent }) => [pid, parent]));
  const found = new Set<number>();
  for (let pid: number | undefined = process.pid; pid !== undefined && pid !== 0; pid = parents.get(pid))
    found.add(pid);
  return found;
};

/** Namespaces that a process keeps by a descriptor. */
const heldNamespaces = async (pid: number): Promise<readonly string[]> => {
  const names = await readdir(`/proc/${pid}/fd`).catch(() => []);
  const targets = await Promise.all(names.map((name) => orEmpty(readlink(`/proc/${pid}/fd/${name}`))));
  return targets.filter((target) => namespaceKinds.some((kind) => target.startsWith(`${kind}:[`)));
};

/** The processes that belong to a data directory, and every namespace but ours that they or the servers hold. */
export const ownProcesses = async (options: {
  readonly dataDir: string;
  /** Of its sandboxes. */
  readonly ids: ReadonlySet<string>;
  readonly servers: readonly number[];
}) => {
  const all = await allProcesses(options.dataDir, options.ids);
  const asking = askers(all);
  const near = new Set(all.filter(({ pid }) => asking.has(pid)).flatMap(({ namespaces }) => namespaces));
  const servers = new Set(options.servers);
  const isServing = ({ pid, parent, name }: Process) =>
    servers.has(pid) || (servers.has(parent) && name === "stacyvm-host");
  const foreign = (one: Process) => one.namespaces.filter((name) => !near.has(name));
  const serving = new Set(all.filter(isServing).map(({ pid }) => pid));
  // A zombie is its parent's to reap: a leak only where the parent is a server or its program.
  const counts = (one: Process) => !asking.has(one.pid) && (!one.isZombie || serving.has(one.parent));
  const first = all.filter((one) => one.isOurs && counts(one));
  // Whoever shares a sandbox's namespace belongs to it, wherever it has moved to.
  const theirs = new Set(first.filter((one) => !isServing(one)).flatMap(foreign));
  const ours = all.filter((one) => counts(one) && (one.isOurs || one.namespaces.some((name) => theirs.has(name))));
  const namespaces = new Set(ours.flatMap(foreign));
  for (const one of ours.concat(all.filter(isServing))) {
    for (const name of await heldNamespaces(one.pid)) if (!near.has(name)) namespaces.add(name);
  }
  const processes = ours.filter((one) => !isServing(one)).map((one) => `${one.pid}@${one.startTicks} ${one.name}`);
  return { processes: new Set(processes), namespaces };
};
