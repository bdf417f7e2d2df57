import { readFile } from "node:fs/promises";
import type { Guest } from "../../../packages/server/src/guest/guest.ts";
import type { Runtime, SandboxSpec } from "../../../packages/server/src/providers/provider.ts";
import { type Attack, type Evidence, type Field, judged, probePath } from "../attack.ts";

const destroyMaxMs = 1000;
const neighbourFactor = 3;
const execCount = 400;
const disturbTries = 3;
const serverGrowthMaxMb = 64;
const loadTimeoutMs = 20_000;
const mebibyte = 2 ** 20;

/** How much a load got: the last number that it printed, also when it was killed. */
const madeOf = (out: string): number => Number([...out.matchAll(/^made (\d+)/gm)].at(-1)?.[1] ?? 0);

/**
 * Starts a command and returns what it printed once that matches, or once it has ended. It stays at it until its sandbox
 * is destroyed, so that there is something to end.
 */
const atIt = async (guest: Guest, argv: readonly string[], until: RegExp): Promise<string> => {
  const { promise, resolve } = Promise.withResolvers<void>();
  let out = "";
  const running = async (): Promise<void> => {
    for await (const event of guest.exec({ argv }, AbortSignal.timeout(loadTimeoutMs))) {
      if (event.type === "output") out += Buffer.from(event.data).toString();
      if (until.test(out)) resolve();
    }
  };
  running().then(resolve, resolve);
  await promise;
  return out;
};

/** Takes as much of something as `wanted` in a sandbox of its own; through where it gets more than `most`. */
const load = (
  kind: string,
  wanted: (limits: SandboxSpec) => number,
  most: (limits: SandboxSpec) => number,
  limits: Partial<SandboxSpec> = {},
): Attack["attempt"] => {
  const all = { memoryMb: 256, pidsMax: 128, diskMb: 64, vcpus: 1, ...limits } as SandboxSpec;
  return async (it) => {
    const [said, destroyMs] = await it.withSandbox(limits, async ({ guest }) => {
      const argv = [probePath, "load", kind, `${wanted(all)}`, "keep"];
      const out = await atIt(guest, argv, /^made \d+ [^s]|failed to create new OS thread/m);
      const answers = await aliveWithin(it, guest);
      return { made: madeOf(out), answers };
    });
    const slow = destroyMs > destroyMaxMs * it.patience;
    return judged(
      said.made > most(all) || slow,
      `${said.made} of ${wanted(all)}${slow ? `, and took ${destroyMs.toFixed(0)} ms to destroy` : ""}`,
    );
  };
};

/** Whether the sandbox still answers; told, not judged: it may be its own victim. */
const aliveWithin = async (it: Field, guest: Guest): Promise<boolean> =>
  it.sh("echo alive", { timeoutMs: 2000 }, guest).then(
    ({ out }) => out === "alive\n",
    () => false,
  );

const pids = (limits: SandboxSpec): number => limits.pidsMax;

/** How many processors the cgroup of a process may use: infinitely many without a quota. */
const processorsOf = async (pid: number | undefined): Promise<number> => {
  for (const line of (await readFile(`/proc/${pid ?? "self"}/cgroup`, "utf8")).split("\n")) {
    const [, controllers = "", path = ""] = line.split(":");
    const read = (name: string) =>
      Promise.any(
        [controllers, "cpu", "unified", ""].map((one) => readFile(`/sys/fs/cgroup/${one}${path}/${name}`, "utf8")),
      ).catch(() => "");
    if (controllers.split(",").includes("cpu")) {
      const quota = Number(await read("cpu.cfs_quota_us"));
      if (quota > 0) return quota / Number(await read("cpu.cfs_period_us"));
    } else if (controllers === "") {
      const [quota, period] = (await read("cpu.max")).split(" ").map(Number);
      if (quota !== undefined && quota > 0) return quota / (period ?? 1);
    }
  }
  return Number.POSITIVE_INFINITY;
};

/** Latencies of `true` in the neighbour, in milliseconds, sorted. */
const latencies = async (neighbour: Guest, count: number): Promise<number[]> => {
  const taken: number[] = [];
  for (let n = 0; n < count; n++) {
    const startedMs = performance.now();
    await neighbour.run({ argv: ["/bin/true"], maxOutputBytes: 16 }, AbortSignal.timeout(60_000));
    taken.push(performance.now() - startedMs);
  }
  return taken.sort((a, b) => a - b);
};
const p99 = (sorted: readonly number[]): number => sorted[Math.ceil(sorted.length * 0.99) - 1] ?? Number.NaN;

const disturbances: Readonly<Record<string, readonly [title: string, script: string]>> = {
  "fork-bomb": ["a fork bomb", "bomb() { bomb | bomb & }; while :; do bomb; sleep 0.2; done"],
  "thread-storm": ["a thread storm", `while :; do ${probePath} load threads 4000; done`],
  balloon: ["a memory balloon", `while :; do ${probePath} load memory 4000; done`],
  spin: ["busy loops", "for i in 1 2 3 4; do (while :; do :; done) & done; wait"],
  "disk-fill": ["a full disk", "while :; do dd if=/dev/zero of=/workspace/f bs=1M count=200; rm -f /workspace/f; done"],
  "endless-output": ["endless output", "yes"],
};

/** p99 of the neighbour quiet and beside an offender, and how long the offender's end took while it was at it. */
const disturbOnce = async (it: Field, script: string) => {
  const quietMs = p99(await latencies(it.neighbour.guest, execCount));
  const [busyMs, destroyMs] = await it.withSandbox(
    { vcpus: 0.5, pidsMax: 64, memoryMb: 128 },
    async (offender: Runtime) => {
      const offending = async (): Promise<void> => {
        const argv = ["/bin/sh", "-c", script];
        for await (const _ of offender.guest.exec({ argv }, AbortSignal.timeout(600_000)));
      };
      offending().catch(() => {}); // ends with its sandbox
      return p99(await latencies(it.neighbour.guest, execCount));
    },
  );
  return { quietMs, busyMs, destroyMs };
};

/** What an offender does, it does each time; what else the machine has to do comes and goes. The best of a few counts. */
const disturbed = async (it: Field, script: string): Promise<Evidence> => {
  await latencies(it.neighbour.guest, 100);
  let evidence: Evidence = judged(true, "not measured");
  for (let tries = 0; tries < disturbTries && evidence.through; tries++) {
    const { quietMs, busyMs, destroyMs } = await disturbOnce(it, script);
    const ended = destroyMs <= destroyMaxMs * it.patience;
    evidence = judged(
      !ended || busyMs > neighbourFactor * quietMs * it.patience,
      `p99 ${quietMs.toFixed(1)} ms quiet, ${busyMs.toFixed(1)} ms beside it; destroyed in ${destroyMs.toFixed(0)} ms`,
    );
  }
  return evidence;
};

export const resourceAttacks: readonly Attack[] = [
  {
    id: "fork-bomb",
    kind: "C",
    title: "makes processes without end",
    tried: "four times as many children as its limit, each waiting; destroyed meanwhile",
    control: "pids cgroup",
    redWithout: ["cgroup-pids"],
    attempt: load("processes", (limits) => 4 * pids(limits), pids, { pidsMax: 64 }),
  },
  {
    id: "thread-storm",
    kind: "C",
    title: "makes threads without end",
    tried: "four times as many threads as its limit of processes",
    control: "pids cgroup",
    redWithout: ["cgroup-pids"],
    attempt: load("threads", (limits) => 4 * pids(limits), pids, { pidsMax: 64 }),
  },
  {
    id: "memory-balloon",
    kind: "C",
    title: "takes memory without end",
    tried: "three times its memory, touched page by page",
    control: "memory cgroup, no swap",
    redWithout: ["cgroup-memory"],
    attempt: load(
      "memory",
      (limits) => 3 * limits.memoryMb,
      (limits) => limits.memoryMb,
      { memoryMb: 128 },
    ),
  },
  {
    id: "kernel-memory",
    kind: "C",
    title: "takes the kernel's memory by pipes",
    tried: "pipes filled to 64 KiB each, three times its memory in all",
    control: "pipe-user-pages-soft of the kernel, for the sandbox's own users; memory cgroup",
    attempt: load(
      "pipes",
      (limits) => 3 * 16 * limits.memoryMb,
      (limits) => 16 * limits.memoryMb,
      { memoryMb: 128 },
    ),
  },
  {
    id: "shared-memory",
    kind: "C",
    title: "takes memory by files in /dev/shm",
    tried: "half a gigabyte in /dev/shm and in /dev",
    control: "sizes of the memory file systems, inside the memory cgroup",
    async attempt(it) {
      const [said] = await it.withSandbox({}, async ({ guest }) => {
        await it
          .sh("dd if=/dev/zero of=/dev/shm/f bs=1M count=512; dd if=/dev/zero of=/dev/f bs=1M count=512", {}, guest)
          .catch(() => {});
        return await it.sh("du -cm /dev/shm/f /dev/f 2>/dev/null | tail -n 1 | cut -f 1", {}, guest).then(
          ({ out }) => out.trim(),
          () => "0 and ended with its sandbox: no",
        );
      });
      return judged(Number(said) > 128, `${said || 0} MB`);
    },
  },
  {
    id: "descriptors",
    kind: "C",
    title: "opens files without end",
    tried: "one more than its limit of open files",
    control: "RLIMIT_NOFILE",
    async attempt(it) {
      const { out } = await it.sh("ulimit -Hn");
      const limits = await readFile(`/proc/${it.pidOf(it.runtime) ?? "self"}/limits`, "utf8");
      const own = await readFile("/proc/self/limits", "utf8");
      const hard = (text: string): number => Number(/^Max open files\s+\d+\s+(\d+)/m.exec(text)?.[1]);
      const [made] = await it.withSandbox({}, async (one) =>
        madeOf(await it.probe(["load", "files", "40000"], {}, one.guest)),
      );
      return judged(made > hard(own) || hard(limits) > hard(own), `${made} opened, its limit is ${out}`);
    },
  },
  {
    id: "disk-full",
    kind: "C",
    title: "fills the host's disk",
    tried: "four times its disk, in one file",
    control: "own disk of a fixed size",
    redWithout: ["disk"],
    async attempt(it) {
      const [said] = await it.withSandbox({ diskMb: 64 }, async ({ guest }) => {
        await it.sh("dd if=/dev/zero of=/workspace/fill bs=1M count=256", {}, guest);
        return (await it.sh("du -sm /workspace | cut -f 1", {}, guest)).out.trim();
      });
      return judged(Number(said) > 64, `${said} of 256 MB`);
    },
  },
  {
    id: "inodes",
    kind: "C",
    title: "takes every inode",
    tried: "empty files until there are no more, 60,000 at most; its neighbour makes one meanwhile",
    control: "own disk of a fixed size",
    async attempt(it) {
      const [said] = await it.withSandbox({ diskMb: 64 }, async ({ guest }) => {
        const printed = await it.probe(["load", "inodes", "60000"], {}, guest);
        const neighbour = await it.sh("touch /tmp/one && rm /tmp/one", {}, it.neighbour.guest);
        return { made: madeOf(printed), neighbour: neighbour.exitCode };
      });
      return judged(
        said.made >= 60_000 || said.neighbour !== 0,
        `${said.made < 60_000 ? "stopped" : "60000 made"}, neighbour exit ${said.neighbour}`,
      );
    },
  },
  {
    id: "processor",
    kind: "C",
    title: "takes every processor",
    tried:
      "four busy loops for two seconds with half a processor; what it got, and the quota that the host holds it to",
    control: "cpu cgroup",
    redWithout: ["cgroup-cpu"],
    async attempt(it) {
      const [[pct, quota]] = await it.withSandbox({ vcpus: 0.5 }, async (one) => {
        await one.usage(AbortSignal.timeout(10_000));
        await it.sh("for i in 1 2 3 4; do (while :; do :; done) & done; wait", { timeoutMs: 2000 }, one.guest);
        const used = (await one.usage(AbortSignal.timeout(10_000)))?.cpuPct ?? 0;
        // On a busy machine nobody gets much, whatever the limit.
        return [used, await processorsOf(it.pidOf(one))] as const;
      });
      return judged(pct > 65 || quota > 0.5, `quota ${quota}${pct > 65 ? `, used ${pct.toFixed(0)} %` : ""}`);
    },
  },
  {
    id: "endless-output",
    kind: "C",
    title: "fills the server's memory by output",
    tried: "`yes` with an output bound, then 1 GB (10 GB in a whole run) of stdout read as a stream",
    control: "bounded buffers; back-pressure",
    async attempt(it) {
      const bytes = (it.quick ? 1 : 10) * 1e9;
      const before = process.memoryUsage.rss();
      const bounded = await it.guest.run(
        { argv: ["/bin/sh", "-c", "yes"], maxOutputBytes: mebibyte, timeoutMs: 2000 },
        AbortSignal.timeout(60_000),
      );
      let read = 0;
      const argv = ["/bin/sh", "-c", `dd if=/dev/zero bs=64k count=${Math.ceil(bytes / 65536)} 2>/dev/null`];
      for await (const event of it.guest.exec({ argv }, AbortSignal.timeout(600_000)))
        if (event.type === "output") read += event.data.length;
      globalThis.gc?.();
      const grown = (process.memoryUsage.rss() - before) / mebibyte;
      const kept = bounded.stdout.length + bounded.stderr.length;
      if (read < bytes) throw new Error(`only ${read} bytes came`);
      return judged(
        grown > serverGrowthMaxMb || kept > mebibyte || !bounded.truncated,
        grown > serverGrowthMaxMb ? `grew by ${grown.toFixed(0)} MB` : `at most ${serverGrowthMaxMb} MB more memory`,
      );
    },
  },
  {
    id: "deaf-daemons",
    kind: "C",
    title: "outlives its command, its deadline or its sandbox",
    tried: "a program that ignores every signal, with 20 double-forked daemons in sessions of their own",
    control: "cgroup kill; the sandbox's end is a kill",
    async attempt(it) {
      const [said, destroyMs] = await it.withSandbox({}, async (one) => {
        const stopped = await one.guest.run(
          { argv: [probePath, "deaf", "20"], maxOutputBytes: 4096, timeoutMs: 1000 },
          AbortSignal.timeout(30_000),
        );
        const { out } = await it.sh("grep -l 'dea[f]' /proc/[0-9]*/cmdline 2>/dev/null | wc -l", {}, one.guest);
        await atIt(one.guest, [probePath, "deaf", "20"], /^made 20/m);
        const left = Number(out);
        return { left, timedOut: stopped.timedOut, members: await it.processesOf(one) };
      });
      const alive = (
        await Promise.all(said.members.map((pid) => readFile(`/proc/${pid}/comm`, "utf8").catch(() => "")))
      ).filter((name) => name.startsWith("wall-probe"));
      const slow = destroyMs > destroyMaxMs * it.patience;
      return judged(
        said.left > 0 || !said.timedOut || alive.length > 0 || slow,
        `${said.left} left after the deadline, ${alive.length} after the sandbox${slow ? `, ${destroyMs.toFixed(0)} ms to destroy` : ""}`,
      );
    },
  },
  {
    id: "zombies",
    kind: "C",
    title: "leaves zombies until no process can be made",
    tried: "500 orphans that end, with a limit of 64 processes",
    control: "the agent reaps what has no parent",
    async attempt(it) {
      const [said] = await it.withSandbox({ pidsMax: 64 }, async ({ guest }) => {
        const printed = await it.probe(["load", "zombies", "500"], {}, guest);
        const { out } = await it.sh("grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l", {}, guest);
        return { made: madeOf(printed), left: Number(out) };
      });
      // A few may wait for their turn where the limit was reached for a moment.
      return judged(said.left > 2, `${said.left <= 2 ? "none" : said.left} left of the orphans`);
    },
  },
  ...Object.entries(disturbances).map(
    ([id, [title, script]]): Attack => ({
      id: `neighbour-beside-${id}`,
      kind: "C",
      title: `slows its neighbour by ${title}`,
      tried: "p99 of 400 execs of `true` in the neighbour, quiet and beside it; the offender destroyed meanwhile",
      control: "limits of processor, memory, processes and disk",
      long: true,
      attempt: (it) => disturbed(it, script),
    }),
  ),
];
