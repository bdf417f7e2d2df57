import { execFileSync, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, realpath, rm, rmdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { buildNative, killServing } from "../../packages/server/src/providers/host.testing.ts";
import { hostHelper } from "../../packages/server/src/providers/host-helper.ts";
import type { SandboxState } from "../../packages/server/src/sandbox/sandbox.ts";
import { createStore } from "../../packages/server/src/store/create-store.ts";
import { sandboxRecord } from "../../packages/server/src/store/sandbox-record.testing.ts";
import { type LeakKind, leftOver, type OwnSnapshot, ownSnapshot } from "./snapshot.ts";

const program = resolve(import.meta.dirname, "main.ts");
const newId = () => `sb-${randomBytes(8).toString("hex")}`;
const root = process.getuid?.() === 0;

/** Makes a leak below the directory; undone in reverse order. */
type Plant = (dataDir: string, undo: (step: () => unknown) => void) => Promise<void>;

const child = (argv: readonly string[], cwd: string): (() => Promise<void>) => {
  const [name = "", ...rest] = argv;
  const one = spawn(name, rest, { cwd, stdio: "ignore" });
  const ended = new Promise<void>((done) => one.once("exit", () => done()));
  return async () => {
    one.kill("SIGKILL");
    await ended;
  };
};

const storeOf = (dataDir: string) =>
  createStore({ database: { driver: "sqlite", path: join(dataDir, "stacyvm.db") }, nowMs: Date.now() });

const insertRow = async (dataDir: string, state: SandboxState): Promise<string> => {
  await using store = await storeOf(dataDir);
  const record = sandboxRecord({ id: newId(), state });
  await store.sandboxes.insert(record);
  return record.id;
};

const cgroupRoot = existsSync("/sys/fs/cgroup/unified") ? "/sys/fs/cgroup/unified" : "/sys/fs/cgroup";

interface Row {
  readonly kind: LeakKind;
  readonly plant: Plant;
  /** What else a leak of the kind can't help being. */
  readonly also?: readonly LeakKind[];
}

const plants: readonly Row[] = [
  {
    kind: "containers",
    plant: async (dataDir) => void (await mkdir(join(dataDir, "oci/runtime", newId()))),
    also: ["files"],
  },
  { kind: "processes", plant: async (dataDir, undo) => undo(child(["sleep", "1000"], join(dataDir, "oci"))) },
  {
    kind: "namespaces",
    plant: async (dataDir, undo) => {
      const held = join(dataDir, "oci/held");
      await writeFile(held, "");
      execFileSync("unshare", [`--net=${held}`, "true"]);
      undo(() => execFileSync("umount", [held]));
    },
    also: ["mounts", "files"],
  },
  {
    kind: "cgroups",
    plant: async (dataDir, undo) => {
      const directory = join(cgroupRoot, `stacyvm-${await insertRow(dataDir, "destroyed")}`);
      await mkdir(directory);
      undo(() => rmdir(directory));
    },
  },
  {
    kind: "mounts",
    plant: async (dataDir, undo) => {
      execFileSync("mount", ["-t", "tmpfs", "none", join(dataDir, "oci/mnt")]);
      undo(() => execFileSync("umount", [join(dataDir, "oci/mnt")]));
    },
  },
  {
    kind: "loop devices",
    plant: async (dataDir, undo) => {
      const file = join(dataDir, "oci/disk");
      execFileSync("truncate", ["--size=1M", file]);
      const device = execFileSync("losetup", ["--find", "--show", file], { encoding: "utf8" }).trim();
      undo(() => execFileSync("losetup", ["--detach", device]));
    },
    also: ["files"],
  },
  {
    kind: "sockets",
    plant: async (dataDir, undo) => {
      const server = createServer();
      await new Promise<void>((done) => server.listen(join(dataDir, "left.sock"), done));
      undo(() => new Promise((done) => server.close(done)));
    },
    also: ["files"],
  },
  {
    kind: "packet filters",
    // As a host program that was killed leaves it.
    plant: async (dataDir, undo) => {
      const programPath = join(dataDir, "../programs/stacyvm-host");
      const ask = async (wall: { uid: number; open: []; resolvers: [] } | { remove: true }) => {
        await using helper = hostHelper({ programPath, agentPath: programPath, dataRoot: join(dataDir, "oci") });
        await helper.call("egress-wall", wall, AbortSignal.timeout(10_000));
        await killServing(programPath);
      };
      undo(() => ask({ remove: true }));
      await ask({ uid: 61_236, open: [], resolvers: [] });
    },
    also: ["files"],
  },
  { kind: "files", plant: async (dataDir) => await writeFile(join(dataDir, "oci/left"), "") },
  {
    kind: "image references",
    plant: async (dataDir) => await writeFile(join(dataDir, "images/refs/a.json"), '{"reference":"a:b"}'),
  },
  { kind: "image pins", plant: async (dataDir) => void (await mkdir(join(dataDir, "images/pins/1.2.abc.x"))) },
  { kind: "rows", plant: async (dataDir) => void (await insertRow(dataDir, "running")) },
  {
    kind: "leases",
    plant: async (dataDir) => {
      await using store = await storeOf(dataDir);
      const lease = { resourceId: newId(), resourceType: "sandbox", holderId: "me", ttlMs: 1_000, nowMs: Date.now() };
      await store.leases.acquire(lease);
    },
  },
];

describe.runIf(root)("what is left over on a host", () => {
  let parent: string;
  let dataDir: string;
  const steps: (() => unknown)[] = [];
  const undo = (step: () => unknown) => void steps.push(step);

  const makeDataDir = async (name: string): Promise<string> => {
    const directory = join(parent, name);
    for (const one of ["oci/runtime", "oci/run", "oci/mnt", "images/refs", "images/pins"])
      await mkdir(join(directory, one), { recursive: true });
    await using _ = await storeOf(directory);
    return directory;
  };

  beforeAll(async () => {
    parent = await realpath(await mkdtemp(join(tmpdir(), "stacyvm-leaks-")));
    await mkdir(join(parent, "programs"));
    buildNative("stacyvm-host", join(parent, "programs"));
    dataDir = await makeDataDir("ours");
  });
  afterEach(async () => {
    for (const step of steps.splice(0).reverse()) await step();
  });
  afterAll(() => rm(parent, { recursive: true }));

  const kindsLeft = async (before: OwnSnapshot): Promise<readonly string[]> => {
    const left = leftOver(before, await ownSnapshot({ dataDir }));
    return [...new Set(left.map((one) => one.slice(0, one.indexOf(":"))))].sort();
  };

  it.each(plants)(
    "$kind: a planted one is named, and another directory's is not",
    async ({ kind, plant, also = [] }) => {
      const before = await ownSnapshot({ dataDir });
      await plant(await makeDataDir(`theirs-${kind.replace(" ", "-")}`), undo);
      expect(await kindsLeft(before)).toEqual([]);
      await plant(dataDir, undo);
      await vi.waitFor(async () => expect(await kindsLeft(before)).toEqual([kind, ...also].sort()), 5_000);
    },
  );

  it("a process that shares a sandbox's namespace is found, wherever it has moved to", async () => {
    const before = await ownSnapshot({ dataDir });
    undo(child(["unshare", "--net", "sh", "-c", "(cd / && exec sleep 1000) & exec sleep 1001"], join(dataDir, "oci")));
    const strays = async () => [...(await ownSnapshot({ dataDir })).processes].filter((name) => name.endsWith("sleep"));
    try {
      await vi.waitFor(async () => expect(await strays()).toHaveLength(2), 5_000);
      expect(await kindsLeft(before)).toEqual(["namespaces", "processes"]);
    } finally {
      for (const stray of await strays()) process.kill(Number.parseInt(stray, 10), "SIGKILL");
    }
  });

  it("the program names what a command leaves and exits 1, and 0 where it leaves nothing", () => {
    const run = (...command: readonly string[]) =>
      spawnSync(process.execPath, [program, "--data", dataDir, "--", ...command], { encoding: "utf8" });
    const clean = run("true");
    expect(clean).toMatchObject({ status: 0, stdout: "nothing is left over\n" });
    const left = run("touch", join(dataDir, "oci/forgotten"));
    expect(left.status).toBe(1);
    expect(left.stdout).toBe("1 left over\n  files: 1\n    oci/forgotten\n");
    expect(run("false")).toMatchObject({ status: 2, stderr: "false ended with 1\n" });
  }, 30_000);
});
