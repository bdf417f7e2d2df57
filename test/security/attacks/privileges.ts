import { readFile } from "node:fs/promises";
import type { Runtime } from "../../../packages/server/src/providers/provider.ts";
import { type Attack, type Field, judged, probePath } from "../attack.ts";
import { setuidProgram } from "../targets.ts";

const profileSets = { default: 0x4fbn, restricted: 0n };
/** Numbers of the capabilities that make a published escape, and the scenarios that begin with them. */
const dangerous: Readonly<Record<string, readonly [bit: bigint, ...scenarios: number[]]>> = {
  SYS_ADMIN: [21n, 8],
  SYS_MODULE: [16n, 9],
  SYS_PTRACE: [19n, 13],
  SYS_RAWIO: [17n],
  SYS_BOOT: [22n],
  SYS_TIME: [25n],
  SYS_RESOURCE: [24n],
  SYS_CHROOT: [18n],
  DAC_READ_SEARCH: [2n, 10],
  NET_ADMIN: [12n],
  NET_RAW: [13n, 18],
  MKNOD: [27n],
  SYSLOG: [34n],
  SETFCAP: [31n],
  MAC_ADMIN: [33n],
  BPF: [39n, 15],
  PERFMON: [38n],
};

const field = (status: string, name: string): string => new RegExp(`^${name}:\\s*(\\S+)`, "m").exec(status)?.[1] ?? "";
const capabilitySets = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];

const insideStatus = async ({ sh }: Field): Promise<string> => (await sh("cat /proc/self/status")).out;
/** Of the first process, from outside: what a kernel in user space tells its programs counts for nothing. */
const outsideStatus = async (it: Field): Promise<string> => {
  const pid = it.pidOf(it.runtime);
  return pid === undefined ? await insideStatus(it) : await readFile(`/proc/${pid}/status`, "utf8");
};

/** Belongs to no user: kernels in user space run as it. */
const nobody = 65534;

/** Real, effective, saved and file ids of every process of a sandbox, as the host knows them. */
const idsOf = async (it: Field, runtime: Runtime): Promise<readonly number[]> => {
  const ids = new Set<number>();
  for (const pid of await it.processesOf(runtime)) {
    const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
    for (const line of ["Uid", "Gid"]) {
      for (const id of new RegExp(`^${line}:\\s+(.*)$`, "m").exec(status)?.[1]?.split(/\s+/) ?? []) ids.add(Number(id));
    }
  }
  return [...ids].sort((a, b) => a - b);
};

export const privilegeAttacks: readonly Attack[] = [
  ...Object.entries(dangerous).map(
    ([name, [bit, ...scenarios]]): Attack => ({
      id: `capability-${name.replaceAll("_", "-").toLowerCase()}`,
      kind: "B",
      title: `uses CAP_${name}`,
      tried: "looks for it in each of its capability sets",
      control: "capability sets of the profile",
      redWithout: ["capabilities"],
      ...(scenarios.length > 0 ? { scenarios } : {}),
      async attempt(it) {
        const status = await insideStatus(it);
        const has = capabilitySets.filter((set) => (BigInt(`0x${field(status, set) || "0"}`) >> bit) & 1n);
        const told = capabilitySets.filter((set) => field(status, set) !== "");
        return judged(has.length > 0 || told.length < 4, has.length > 0 ? `in ${has}` : `in none of ${told}`);
      },
    }),
  ),
  {
    id: "privileged",
    kind: "B",
    title: "has any privilege beyond its profile's",
    tried: "compares CapBnd and CapPrm in /proc/self/status with the profile's set",
    control: "capability sets of the profile",
    redWithout: ["capabilities"],
    scenarios: [5],
    async attempt(it) {
      const status = await insideStatus(it);
      const allowed = profileSets[it.profile];
      const sets = ["CapBnd", "CapPrm", "CapEff"].map((set) => `${set} ${field(status, set)}`);
      return judged(
        sets.some((set) => (BigInt(`0x${set.split(" ")[1] || "ffff"}`) & ~allowed) !== 0n),
        sets.join(", "),
      );
    },
  },
  {
    id: "setuid-program",
    kind: "B",
    title: "becomes root by a setuid program of its image",
    tried: `runs ${setuidProgram}, root's and 4755, as uid 1000`,
    control: "NoNewPrivs",
    redWithout: ["no-new-privs"],
    async attempt({ probe, sh, profile, image }) {
      // Where there is no image, root inside makes the program.
      if (image === undefined) await sh(`cp ${probePath} /tmp/rootly && chmod 4755 /tmp/rootly`);
      const path = image === undefined ? "/tmp/rootly" : setuidProgram;
      const user = profile === "restricted" ? {} : { user: "1000:1000" };
      const said = await probe(["who"], { argv: [path, "who"], ...user });
      return judged(!/^uid 1000 euid 1000 /.test(said), said);
    },
  },
  {
    id: "no-new-privs",
    kind: "B",
    title: "runs without NoNewPrivs",
    tried: "/proc/PID/status of its first process, from outside",
    control: "NoNewPrivs",
    redWithout: ["no-new-privs"],
    async attempt(it) {
      const said = field(await outsideStatus(it), "NoNewPrivs");
      return judged(said !== "1", `NoNewPrivs ${said}`);
    },
  },
  {
    id: "seccomp-off",
    kind: "B",
    title: "runs without a syscall filter",
    tried: "/proc/PID/status of its first process, from outside",
    control: "seccomp",
    redWithout: ["seccomp"],
    scenarios: [5],
    async attempt(it) {
      const said = field(await outsideStatus(it), "Seccomp");
      return judged(said !== "2", `Seccomp ${said}`);
    },
  },
  {
    id: "other-architecture",
    kind: "B",
    title: "goes round the syscall filter by the machine's 32-bit calls",
    tried: "runs wall-probe built for i386",
    control: "seccomp: one architecture",
    redWithout: ["seccomp"],
    async attempt({ sh }) {
      if (process.arch !== "x64") return judged(false, "this machine has no 32-bit mode that a program could use");
      const { out, err, exitCode } = await sh(`${probePath}-386 who`);
      return judged(out.startsWith("uid"), `exit ${exitCode}: ${out}${err.slice(0, 80)}`);
    },
  },
  {
    id: "host-root",
    kind: "B",
    title: "is root, or any other user of the host, behind its own users",
    tried: "user and group ids of every process of the sandbox, from outside",
    control: "user namespace with a range of its own",
    redWithout: ["userns"],
    scenarios: [5],
    async attempt(it) {
      await it.sh("sleep 2 >/dev/null 2>&1 &");
      const ids = await idsOf(it, it.runtime);
      const said = ids.join(", ");
      return judged(ids.length === 0 || ids.some((id) => id < nobody), said || "no process found");
    },
  },
  {
    id: "user-map",
    kind: "B",
    title: "maps an id of the host's users into itself",
    tried: "uid_map and gid_map of its first process, from outside",
    control: "user namespace with a range of its own",
    redWithout: ["userns"],
    async attempt(it) {
      const pid = it.pidOf(it.runtime) ?? "self";
      const maps = await Promise.all(["uid_map", "gid_map"].map((name) => readFile(`/proc/${pid}/${name}`, "utf8")));
      const lines = maps.flatMap((map) => map.trim().split("\n")).map((line) => line.trim().split(/\s+/).map(Number));
      return judged(
        lines.some(([, outside = 0]) => outside < nobody),
        lines.map((line) => line.join(" ")).join("; "),
      );
    },
  },
  {
    id: "shared-user-range",
    kind: "B",
    title: "is the same host user as its neighbour",
    tried: "user and group ids of both sandboxes' processes, from outside",
    control: "one range of ids per sandbox",
    redWithout: ["userns"],
    async attempt(it) {
      const [own, theirs] = await Promise.all([idsOf(it, it.runtime), idsOf(it, it.neighbour)]);
      const shared = own.filter((id) => id !== nobody && theirs.includes(id));
      return judged(shared.length > 0 || own.length === 0 || theirs.length === 0, `${own} and ${theirs}`);
    },
  },
  {
    id: "credentials-inside",
    kind: "B",
    title: "finds a credential of the host, or of an orchestrator, inside",
    tried: "every variable of its environment, /run/secrets, /var/run/secrets, and what the agent started with",
    control: "nothing of the server's environment is passed on",
    scenarios: [1],
    async attempt({ sh }) {
      const { out } = await sh(
        "env | grep -iE 'key|token|secret|password|kube|stacyvm|NODE' ; ls -A /run/secrets /var/run/secrets /root/.docker /root/.kube 2>/dev/null",
      );
      return judged(out !== "", out || "none");
    },
  },
];
