import { join } from "node:path";
import {
  agentPath,
  agentUid,
  defaultCapabilities,
  doorPath,
  egressDoorPath,
  gvisorPids,
  maskedPaths,
  readonlyPaths,
  shmBytes,
} from "../hardening.ts";
import type { RuntimeKind } from "../host-helper.ts";
import type { SandboxSpec } from "../provider.ts";
import { seccompProfile } from "../seccomp.ts";

/** The host program puts the agent's path here. */
const agentSource = "@agent";
/** And the path of the door's directory here. */
const doorSource = "@door";
/** And that of the egress door's. */
const egressDoorSource = "@egress";

const cpuPeriodUs = 100_000;

const mounts = [
  { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
  {
    destination: "/dev",
    type: "tmpfs",
    source: "tmpfs",
    options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
  },
  {
    destination: "/dev/pts",
    type: "devpts",
    source: "devpts",
    options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
  },
  {
    destination: "/dev/shm",
    type: "tmpfs",
    source: "shm",
    options: ["nosuid", "noexec", "nodev", "mode=1777", `size=${shmBytes}`],
  },
  { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"] },
  { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
  { destination: agentPath, type: "bind", source: agentSource, options: ["bind", "ro", "nosuid", "nodev"] },
] as const;
const doorMount = (destination: string, source: string) => ({
  destination,
  type: "bind",
  source,
  options: ["bind", "rw", "nosuid", "nodev", "noexec"],
});

export interface RuntimeSpecOptions {
  readonly kind: RuntimeKind;
  readonly sandbox: SandboxSpec;
  readonly architecture: "x64" | "arm64";
  /** The host's own limit; it cannot be raised. */
  readonly openFilesMax: number;
  /** The host has version 2 of cgroups, so descriptor 4 is the sandbox's directory. */
  readonly hasCgroupDirectory: boolean;
}

/**
 * The OCI runtime configuration of a sandbox. The host program adds what only it knows: the root, the user id mappings
 * and the cgroup's path.
 */
export const runtimeSpec = (options: RuntimeSpecOptions) => {
  const { sandbox } = options;
  const uid = agentUid(sandbox.security);
  const capabilities = sandbox.security === "restricted" ? [] : defaultCapabilities;
  const guestListens = options.kind === "gvisor";
  const hasEgress = sandbox.network === "egress";
  const handed = ["--listen-fd", "3", ...(options.hasCgroupDirectory ? ["--cgroup-fd", "4"] : [])];
  if (hasEgress) handed.push("--egress-fd", options.hasCgroupDirectory ? "5" : "4");
  const made = ["--listen-unix", join(doorPath, "agent.sock")];
  if (hasEgress) made.push("--egress-unix", join(egressDoorPath, "egress.sock"), "--egress-proxy");
  const doors = [doorMount(doorPath, doorSource), ...(hasEgress ? [doorMount(egressDoorPath, egressDoorSource)] : [])];
  const memoryBytes = sandbox.memoryMb * 1024 * 1024;
  return {
    ociVersion: "1.0.2",
    hostname: sandbox.id,
    process: {
      terminal: false,
      user: { uid, gid: uid },
      args: [agentPath, "serve", ...(guestListens ? made : handed), "--workdir", "/workspace"],
      env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
      cwd: "/",
      capabilities: {
        bounding: capabilities,
        effective: capabilities,
        permitted: capabilities,
        inheritable: [],
        ambient: [],
      },
      rlimits: [
        { type: "RLIMIT_NOFILE", soft: options.openFilesMax, hard: options.openFilesMax },
        { type: "RLIMIT_CORE", soft: 0, hard: 0 },
      ],
      noNewPrivileges: true,
    },
    mounts: guestListens ? [...mounts, ...doors] : mounts,
    linux: {
      namespaces: ["user", "pid", "mount", "ipc", "uts", "cgroup", "network"].map((type) => ({ type })),
      resources: {
        devices: [{ allow: false, access: "rwm" }],
        memory: { limit: memoryBytes, swap: memoryBytes },
        cpu: { quota: Math.max(1000, Math.round(sandbox.vcpus * cpuPeriodUs)), period: cpuPeriodUs },
        pids: { limit: guestListens ? gvisorPids(sandbox.pidsMax) : sandbox.pidsMax },
      },
      seccomp: seccompProfile(options.architecture),
      maskedPaths,
      readonlyPaths,
    },
  };
};
