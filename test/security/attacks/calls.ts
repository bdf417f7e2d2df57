import { type Attack, isRefusal, judged } from "../attack.ts";

/** Calls of wall-probe by what refuses them; each is a row. */
interface Group {
  readonly control: string;
  /** Name of a call, what it is for the attacker, and the published scenarios that begin with it. */
  readonly calls: Readonly<Record<string, string | readonly [title: string, ...scenarios: number[]]>>;
}

const administer = "no CAP_SYS_ADMIN in any user namespace of the host's; seccomp";

const groups: readonly Group[] = [
  {
    control: administer,
    calls: {
      "mount tmpfs": ["mounts a file system", 8],
      "mount proc": "mounts a second /proc, without masks",
      "mount sysfs": "mounts a second /sys, without masks",
      "mount cgroup": ["mounts cgroup version 1, for its release_agent", 8, 14],
      "mount cgroup2": "mounts cgroup version 2",
      "mount overlay": "mounts an overlay over the root",
      "mount block": ["mounts a disk of the host", 5],
      "bind mount": "binds the root elsewhere",
      "remount root": "remounts the root",
      "remount proc": "makes /proc/sys writable again",
      "unmount proc": "takes masks away by unmounting /proc",
      "share mounts": "makes its mounts propagate",
      fsopen: "mounts by the new calls",
      open_tree: "clones a mount by the new calls",
      mount_setattr: "clears a mount's read-only flag by the new calls",
      pivot_root: "changes its root",
      chroot: "changes its root so that `..` leads out",
    },
  },
  {
    control: "user.max_user_namespaces is 0; seccomp",
    calls: {
      "clone3 user namespace": "makes a user namespace with clone3, to be root in it",
      "clone user namespace": "makes a user namespace with clone",
      "unshare user alone": "makes a user namespace with unshare",
      "clone3 pid namespace": "makes a pid namespace",
      "clone mount namespace": "makes a mount namespace with clone",
      "unshare mount": "makes a mount namespace with unshare",
      "unshare net": ["makes a network namespace, for raw packets", 18],
      "unshare cgroup": ["makes a cgroup namespace, for a release_agent", 14],
      setns: "joins a namespace by its descriptor",
    },
  },
  {
    control: "the agent is not dumpable; no CAP_SYS_PTRACE",
    calls: {
      "ptrace pid 1": "traces the agent",
      "read memory of pid 1": "reads the agent's memory",
      "write memory of pid 1": "writes the agent's memory",
      "read environ of pid 1": "reads the agent's environment",
      "read maps of pid 1": "reads the agent's mappings",
      pidfd_getfd: "takes a descriptor out of the agent",
      "write exe of pid 1": ["writes the agent's program through /proc/1/exe", 11],
      "write agent": "writes the agent's program through its path",
    },
  },
  {
    control: "seccomp",
    calls: {
      keyctl: "names the session keyring",
      add_key: "puts a key into a keyring",
      request_key: "asks the host for a key",
      "load bpf program": ["loads a program into the kernel", 15],
      perf_event_open: "watches the kernel by perf",
      io_uring_setup: "makes an io_uring",
      userfaultfd: "stops the kernel at a page fault",
      kcmp: "compares objects of the kernel",
      fanotify_init: "watches a file system",
      move_pages: "moves the pages of the agent",
      vsock: "speaks to a hypervisor",
      "kernel crypto socket": "uses the kernel's cryptography",
      quotactl: "changes quotas",
      vhangup: "hangs up a terminal",
      syslog: "reads the kernel's log",
      open_by_handle_at: ["opens a file of the host by its handle", 10],
    },
  },
  {
    control: "no CAP_SYS_MODULE; seccomp",
    calls: {
      init_module: ["loads a module", 9],
      finit_module: ["loads a module from a file", 9],
      delete_module: "removes a module",
      kexec_load: "loads another kernel",
      kexec_file_load: "loads another kernel from a file",
    },
  },
  {
    control: "no capability over the machine; seccomp",
    calls: {
      reboot: "stops the machine",
      swapon: "adds swap",
      swapoff: "removes swap",
      acct: "turns accounting on",
      sethostname: "renames the host",
      setdomainname: "renames the host's domain",
      settimeofday: "sets the clock",
      clock_settime: "sets the clock by the new call",
      adjtimex: "bends the clock",
    },
  },
  {
    control: "no CAP_NET_ADMIN and no CAP_NET_RAW",
    calls: {
      "raw socket": ["sends raw IPv4 packets", 18],
      "raw IPv6 socket": "sends raw IPv6 packets",
      "packet socket": ["opens a packet socket", 18],
      "change interface": "changes an interface",
      "add interface": "adds an interface",
      "audit socket": "reads the rules of audit",
    },
  },
  {
    control: "no CAP_MKNOD on the host; no device beyond the standard ones; nodev",
    calls: {
      "mknod block device": "makes a block device's node",
      "mknod char device": "makes a character device's node",
      "made block device": "opens a block device that it made",
      "made mem device": "opens the memory by a node that it made",
      "made kvm device": "opens KVM by a node that it made",
      "made loop control": "opens the loop control by a node that it made",
      "open kvm": "opens /dev/kvm",
      "open dev mem": "opens /dev/mem",
      "open port": "opens /dev/port",
      "open cpu msr": "opens a processor's registers",
      "open loop control": "opens the loop control",
      "open loop device": "opens a loop device",
      "open fuse": "opens FUSE",
      "open net tun": "opens TUN",
      "open vhost": "opens vhost-net",
      "open autofs": "opens autofs",
      "read kmsg": "reads the kernel's log as a device",
    },
  },
  {
    control: "no capability over files of others' namespaces",
    calls: {
      "trusted xattr": "writes a trusted attribute, as overlays have",
      "set file caps": "gives a file capabilities",
    },
  },
  {
    control: "limits can't be raised",
    calls: {
      "raise open files": "raises its limit of open files",
      "lower oom score": "puts itself out of the reach of the memory killer",
    },
  },
  {
    control: "read-only and masked paths; not root on the host",
    calls: {
      "write core_pattern": ["sets the program for core dumps", 3],
      "write modprobe": "sets the program that loads modules",
      "write uevent_helper": "sets the program for device events",
      "write release_agent": ["sets the program for empty cgroups", 14],
      "write binfmt_misc": "registers an interpreter with the host",
      "write sysrq-trigger": "triggers SysRq",
      "write drop_caches": "drops the host's caches",
      "write panic": "changes what a panic does",
      "write ns_last_pid": "chooses the next pid",
      "write ptrace_scope": "loosens ptrace",
      "write irq affinity": "moves interrupts",
      "write route_localnet": ["routes packets to the host's loopback", 4],
      "write max of descendants": "lifts a limit of its cgroup",
      "allow user namespaces": "allows itself user namespaces",
      "read kcore": "reads the kernel's memory",
      "read sched_debug": "reads the scheduler's state",
      "read keys": "lists the host's keys",
      "read timer_list": "reads the host's timers",
      "read interrupts": "reads the host's interrupts",
      "read kallsyms": "reads the kernel's addresses",
      "list sys kernel": "lists /sys/kernel",
      "list sys firmware": "lists /sys/firmware",
      "list cgroups": "lists the cgroups",
      "list powercap": "reads power meters, a side channel",
    },
  },
];

/** Calls that one control alone holds; the others are held twice. */
const heldBy: Readonly<Record<string, readonly string[]>> = {
  seccomp: ["keyctl", "add_key", "io_uring_setup", "userfaultfd", "vsock"],
  capabilities: [
    "clone3 pid namespace",
    "ptrace pid 1",
    "read memory of pid 1",
    "write memory of pid 1",
    "read environ of pid 1",
    "read maps of pid 1",
    "raw socket",
    "raw IPv6 socket",
    "change interface",
    "set file caps",
  ],
  devices: ["open autofs"],
  dumpable: [
    "ptrace pid 1",
    "read memory of pid 1",
    "write memory of pid 1",
    "read environ of pid 1",
    "read maps of pid 1",
  ],
  "namespace-limit": ["clone3 user namespace"],
  "masked-paths": ["read keys", "read interrupts", "list sys kernel", "list sys firmware"],
};

export const callAttacks: readonly Attack[] = groups.flatMap(({ control, calls }) =>
  Object.entries(calls).map(([name, told]): Attack => {
    const [title, ...scenarios] = typeof told === "string" ? [told] : told;
    const redWithout = Object.keys(heldBy).filter((held) => heldBy[held]?.includes(name));
    return {
      id: `call-${name.replace(/[^a-zA-Z0-9]+/g, "-").toLowerCase()}`,
      kind: "B",
      title,
      tried: `wall-probe call "${name}"`,
      control,
      call: name,
      ...(redWithout.length > 0 ? { redWithout } : {}),
      ...(scenarios.length > 0 ? { scenarios } : {}),
      async attempt({ probe }) {
        const said = await probe(["call", name]);
        return judged(!isRefusal(said), said);
      },
    };
  }),
);
