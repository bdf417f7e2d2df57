import { readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";

/** What exists on a host outside ordinary files: kind to a set of names. */
export type HostSnapshot = Readonly<Record<string, ReadonlySet<string>>>;

const orEmpty = async <T>(reading: Promise<T>, otherwise: T): Promise<T> => {
  try {
    return await reading;
  } catch {
    return otherwise; // it ended while we looked
  }
};

const namespaceKinds = ["net", "mnt", "pid", "user", "ipc", "uts", "cgroup"] as const;

const processes = async () => {
  const found = new Set<string>();
  const namespaces = new Set<string>();
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    const stat = await orEmpty(readFile(`/proc/${pid}/stat`, "utf8"), "");
    const end = stat.lastIndexOf(")");
    const startTicks = stat.slice(end + 2).split(" ")[19];
    if (startTicks === undefined) continue;
    let foreign = false;
    for (const kind of namespaceKinds) {
      const name = await orEmpty(readlink(`/proc/${pid}/ns/${kind}`), "");
      if (name === "") continue;
      namespaces.add(name);
      if (name !== (await readlink(`/proc/self/ns/${kind}`))) foreign = true;
    }
    // A process in our own namespaces is somebody else's work, unless it is a runtime.
    const name = stat.slice(stat.indexOf("(") + 1, end);
    if (foreign || /^(runc|crun)/.test(name)) found.add(`${pid}@${startTicks} ${name}`);
  }
  return { processes: found, namespaces };
};

const cgroups = async (): Promise<Set<string>> => {
  const found = new Set<string>();
  const walk = async (directory: string): Promise<void> => {
    for (const entry of await orEmpty(readdir(directory, { withFileTypes: true }), [])) {
      if (!entry.isDirectory()) continue;
      const path = join(directory, entry.name);
      found.add(path);
      await walk(path);
    }
  };
  await walk("/sys/fs/cgroup");
  return found;
};

const loopDevices = async (): Promise<Set<string>> => {
  const found = new Set<string>();
  for (const name of await orEmpty(readdir("/sys/block"), [])) {
    const file = await orEmpty(readFile(`/sys/block/${name}/loop/backing_file`, "utf8"), "");
    if (file !== "") found.add(`${name} ${file.trim()}`);
  }
  return found;
};

const tree = async (root: string): Promise<Set<string>> => {
  const names = await orEmpty(readdir(root, { recursive: true }), []);
  return new Set(names);
};

export interface SnapshotOptions {
  /** Every name below it is part of the snapshot. */
  readonly dataRoot?: string;
}

/** Looks at the whole host: only a test that has the host to itself may compare exactly; others wait for equality. */
export const hostSnapshot = async (options: SnapshotOptions = {}): Promise<HostSnapshot> => {
  const lines = async (path: string): Promise<string[]> => (await readFile(path, "utf8")).trim().split("\n");
  const sockets = (await lines("/proc/net/unix"))
    .map((line) => line.split(/\s+/)[7] ?? "")
    .filter((name) => name !== "");
  return {
    ...(await processes()),
    mounts: new Set(await lines("/proc/self/mounts")),
    cgroups: await cgroups(),
    loopDevices: await loopDevices(),
    sockets: new Set(sockets),
    ...(options.dataRoot === undefined ? {} : { files: await tree(options.dataRoot) }),
  };
};

/** What is in the later snapshot and was not in the earlier one, as `kind: name`. */
export const leftBehind = (before: HostSnapshot, after: HostSnapshot): string[] =>
  Object.entries(after).flatMap(([kind, names]) =>
    [...names].filter((name) => !before[kind]?.has(name)).map((name) => `${kind}: ${name}`),
  );
