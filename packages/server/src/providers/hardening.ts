import type { SecurityProfile } from "./provider.ts";

/** Just what package managers, su and servers on low ports need. */
export const defaultCapabilities = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_NET_BIND_SERVICE",
  "CAP_SETGID",
  "CAP_SETUID",
] as const;

/** The agent's user inside. */
export const agentUid = (security: SecurityProfile): number => (security === "restricted" ? 1000 : 0);

export const maskedPaths = [
  "/proc/acpi",
  "/proc/asound",
  "/proc/interrupts",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/sys/devices/virtual/powercap",
  "/sys/firmware",
  "/sys/fs/cgroup",
  "/sys/kernel",
];
export const readonlyPaths = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/** Where the agent's file is shown inside. */
export const agentPath = "/dev/.stacyvm-agent";
/** Where an agent makes its socket, if it can't be handed one. */
export const doorPath = "/dev/.stacyvm-door";
/** Where it makes the socket for the egress gateway then. */
export const egressDoorPath = "/dev/.stacyvm-egress";

export const shmBytes = 64 * 1024 * 1024;

/** Under gVisor a thread inside is up to three outside, and its kernel has threads of its own: the host counts those. */
export const gvisorPids = (pidsMax: number): number => 3 * pidsMax + 256;
