import type { HostOwned, HostSpawned, HostVerbs } from "../../packages/server/src/providers/host-helper.ts";
import type { SourceEdit } from "./native-build.ts";

type SpawnArgs = HostVerbs["spawn"]["args"];

/** How one control is taken out of the way, for one run and with no switch in the product. */
export interface BrokenControl {
  readonly title: string;
  /** Where it is tried if no target is named. */
  readonly target: string;
  /** Applied to the OCI runtime's configuration by native/cmd/broken-runtime. */
  readonly config?: (canaryPath: string) => Readonly<Record<string, unknown>>;
  readonly agent?: readonly SourceEdit[];
  readonly host?: readonly SourceEdit[];
  readonly askedOfHost?: (args: SpawnArgs) => SpawnArgs;
  /** Where an agent's socket is. */
  readonly toldByHost?: <T extends HostSpawned | HostOwned>(answer: T) => T;
}

const everyCapability = `CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
  NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE
  SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL
  SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF`
  .trim()
  .split(/\s+/)
  .map((name) => `CAP_${name}`);

const namespacesWithout = (type: string) =>
  ["user", "pid", "mount", "ipc", "uts", "cgroup", "network"]
    .filter((one) => one !== type)
    .map((one) => ({ type: one }));

const hostMapping = [{ containerID: 0, hostID: 0, size: 65536 }];
const kept = (...types: string[]) => ({ source: types[0], type: "bind", options: ["rbind", "ro"] });

export const controls: Readonly<Record<string, BrokenControl>> = {
  seccomp: {
    title: "no syscall filter",
    target: "oci-runc",
    config: () => ({ linux: { seccomp: null } }),
  },
  userns: {
    title: "the sandbox's root is the host's",
    target: "oci-runc",
    config: () => ({ linux: { uidMappings: hostMapping, gidMappings: hostMapping } }),
  },
  "masked-paths": {
    title: "nothing under /proc and /sys is masked",
    target: "oci-runc",
    config: () => ({ linux: { maskedPaths: null } }),
  },
  "readonly-paths": {
    title: "nothing under /proc is read-only",
    target: "oci-runc",
    config: () => ({ linux: { readonlyPaths: null } }),
  },
  "no-new-privs": {
    title: "setuid programs work",
    target: "oci-restricted",
    config: () => ({ process: { noNewPrivileges: false } }),
  },
  capabilities: {
    title: "every capability",
    target: "oci-runc",
    config: () => {
      const sets = { bounding: everyCapability, effective: everyCapability, permitted: everyCapability };
      return { process: { capabilities: sets } };
    },
  },
  network: {
    title: "the host's network",
    target: "oci-runc",
    config: () => ({ linux: { namespaces: namespacesWithout("network") }, "mounts*": { "/sys": kept("/sys") } }),
  },
  ipc: {
    title: "the host's shared memory",
    target: "oci-runc",
    config: () => ({ linux: { namespaces: namespacesWithout("ipc") }, "mounts*": { "/dev/mqueue": null } }),
  },
  "host-mounts": {
    title: "a directory of the host is mounted",
    target: "oci-runc",
    config: (canaryPath) => ({
      "mounts+": [{ destination: canaryPath, type: "bind", source: canaryPath, options: ["rbind", "rw"] }],
    }),
  },
  devices: {
    title: "device nodes of the host",
    target: "oci-runc",
    config: () => ({
      linux: {
        devices: [
          { path: "/dev/loop0", type: "b", major: 7, minor: 0 },
          { path: "/dev/kmsg", type: "c", major: 1, minor: 11 },
          { path: "/dev/autofs", type: "c", major: 10, minor: 235 },
        ],
        resources: { devices: [{ allow: true, access: "rwm" }] },
      },
    }),
  },
  "cgroup-pids": {
    title: "no limit of processes",
    target: "oci-runc",
    config: () => ({ linux: { resources: { pids: null } } }),
  },
  "cgroup-memory": {
    title: "no limit of memory",
    target: "oci-runc",
    config: () => ({ linux: { resources: { memory: null } } }),
  },
  "cgroup-cpu": {
    title: "no limit of processor time",
    target: "oci-runc",
    config: () => ({ linux: { resources: { cpu: null } } }),
  },
  disk: {
    title: "a disk larger than promised",
    target: "oci-runc",
    askedOfHost: (args) => ({ ...args, disk_mb: args.disk_mb * 8 }),
  },
  "descriptor-cloexec": {
    title: "the agent lets its inherited descriptors pass",
    target: "oci-runc",
    agent: [
      {
        file: "cmd/stacyvm-agent/serve.go",
        from: "_ = unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC)",
        to: "",
      },
      { file: "cmd/stacyvm-agent/serve.go", from: "unix.CloseOnExec(cgroupFD)", to: "" },
    ],
  },
  dumpable: {
    title: "the agent may be looked into",
    target: "oci-restricted",
    agent: [{ file: "cmd/stacyvm-agent/serve.go", from: "_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)", to: "" }],
  },
  "kernel-links": {
    title: "the agent follows links that the kernel makes up",
    target: "oci-runc",
    agent: [
      {
        file: "internal/path/walk.go",
        from: "return unix.Fstat(dir, &st) != nil || st.Ino != procRootInode",
        to: "_ = dir\n\treturn unix.Fstat(dir, &st) != nil",
      },
    ],
  },
  "image-directories": {
    title: "an image's symlinks stand where the runtime mounts",
    target: "oci-runc",
    host: [
      {
        file: "internal/host/rootfs.go",
        from: 'var mountedOn = []string{"dev", "proc", "sys"}',
        to: "var mountedOn = []string{}",
      },
    ],
  },
  "namespace-limit": {
    title: "user namespaces may be made inside",
    target: "oci-runc",
    host: [{ file: "internal/host/userns.go", from: "zero := [8]byte{'0'}", to: "zero := [8]byte{'9'}" }],
  },
  "socket-check": {
    title: "an agent's socket is connected to by its path",
    target: "oci-runsc",
    toldByHost: (answer) => ({ ...answer, guest_made: false }),
  },
};
