/** For each target, what isn't `stopped`: a reason, and the attacks that it stands for. */
type Exceptions = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;

/** What gets through because it was never promised. That it is stopped after all is a difference too. */
const notPromised: Exceptions = {
  "oci-runsc": {
    "gVisor's kernel is a process of the host's own namespace; programs inside see its processes and groups alone": [
      "namespace-pid",
      "namespace-cgroup",
    ],
    "settings, devices, scores and nodes made inside are those of gVisor's own kernel; the host's stay as they are (host-settings)":
      [
        "writable-settings",
        "block-devices",
        "call-mknod-block-device",
        "call-mknod-char-device",
        "call-open-net-tun",
        "call-lower-oom-score",
        "call-write-ptrace-scope",
      ],
    "gVisor shows the first process's environment and mappings to root inside; they hold no secret (credentials-inside)":
      ["call-read-environ-of-pid-1", "call-read-maps-of-pid-1"],
    "the host can't count a program's threads inside gVisor; memory and processor bound what they are": [
      "thread-storm",
    ],
  },
  docker: {
    "without userns-remap users inside are the host's of the same number, so none is root; remap gives others": [
      "host-root",
      "user-map",
      "namespace-user",
      "shared-user-range",
    ],
    "the agent's program, read-only, and the directory of its socket, sealed before the first program, are mounts of the host's":
      ["host-mounts", "agent-socket-link"],
    "an engine makes a container's root a slave of its own mounts: none goes out, and none of ours comes in": [
      "mount-propagation",
    ],
    "the engine's storage driver here bounds no disk; one that can is told to (docker/disk.test.ts)": [
      "archive-bomb",
      "disk-full",
      "inodes",
    ],
  },
  "docker-remap": {
    "all containers of one engine share one range of host users": ["shared-user-range"],
    "the agent's program, read-only, and the directory of its socket, sealed before the first program, are mounts of the host's":
      ["host-mounts", "agent-socket-link"],
    "an engine makes a container's root a slave of its own mounts: none goes out, and none of ours comes in": [
      "mount-propagation",
    ],
    "the engine's storage driver here bounds no disk; one that can is told to (docker/disk.test.ts)": [
      "archive-bomb",
      "disk-full",
      "inodes",
    ],
  },
  "docker-runsc": {
    "under an engine gVisor's file server is root of the host, with few capabilities and a root of its own": [
      "host-root",
      "user-map",
      "namespace-user",
      "shared-user-range",
    ],
    "gVisor's kernel is a process of the host's own namespace; programs inside see its groups alone": [
      "namespace-cgroup",
    ],
    "what programs do to gVisor's own kernel, its namespaces, settings, devices and terminals, the host doesn't see (host-settings)":
      [
        "writable-settings",
        "block-devices",
        "terminal-input",
        "call-clone-user-namespace",
        "call-unshare-user-alone",
        "call-clone-mount-namespace",
        "call-unshare-mount",
        "call-unshare-cgroup",
        "call-io-uring-setup",
        "call-syslog",
        "call-mknod-block-device",
        "call-mknod-char-device",
        "call-open-net-tun",
        "call-lower-oom-score",
      ],
    "gVisor shows the first process's environment and mappings to programs inside; they hold no secret (credentials-inside)":
      ["call-read-environ-of-pid-1", "call-read-maps-of-pid-1"],
    "the host can't count a program's threads inside gVisor; memory and processor bound what they are": [
      "thread-storm",
    ],
    "the engine's storage driver here bounds no disk; one that can is told to (docker/disk.test.ts)": [
      "archive-bomb",
      "disk-full",
      "inodes",
    ],
  },
  proot: {
    "PRoot pretends: owners, names and attributes are given back as they were asked for, and are nowhere": [
      "archive-devices",
      "call-sethostname",
      "call-setdomainname",
      "call-trusted-xattr",
      "call-set-file-caps",
    ],
    "the first process is PRoot, which the sandbox can't see: there is nobody to trace (trace-neighbour)": [
      "call-ptrace-pid-1",
    ],
    "its root is a directory of the host's, and its mount table says which": ["host-mounts"],
    "PRoot masks nothing: what the host's users may read can be read, and these settings are its own namespaces'": [
      "masked-content",
      "writable-settings",
      "call-read-interrupts",
    ],
    "PRoot bounds processes and the size of a file, and nothing else": [
      "memory-balloon",
      "disk-full",
      "inodes",
      "processor",
    ],
  },
  mock: {
    "mock has no syscall filter": [
      "seccomp-off",
      "other-architecture",
      "terminal-input",
      "call-keyctl",
      "call-add-key",
      "call-io-uring-setup",
      "call-userfaultfd",
      "call-vsock",
    ],
    "mock masks nothing: what the host's users may read can be read": [
      "masked-content",
      "call-read-keys",
      "call-read-interrupts",
    ],
    "mock makes nothing read-only but the host's files; these settings are its own namespaces'": ["writable-settings"],
    "mock limits bytes on its disk and nothing else": [
      "fork-bomb",
      "thread-storm",
      "memory-balloon",
      "inodes",
      "processor",
    ],
  },
};

/** Attacks that can't be tried there. */
const notTried: Exceptions = {
  docker: { "images are the engine's own, as are its containers' layers": ["hostile-image", "shared-image"] },
  "docker-remap": { "images are the engine's own, as are its containers' layers": ["hostile-image", "shared-image"] },
  "docker-runsc": { "images are the engine's own, as are its containers' layers": ["hostile-image", "shared-image"] },
  proot: {
    "PRoot bounds no memory, processor or disk: a load without a bound would be the host's own": [
      "neighbour-beside-fork-bomb",
      "neighbour-beside-thread-storm",
      "neighbour-beside-balloon",
      "neighbour-beside-spin",
      "neighbour-beside-disk-fill",
      "neighbour-beside-endless-output",
    ],
  },
  mock: {
    "mock has no image": ["hostile-image", "shared-image"],
    "mock limits nothing: a load without a bound would be the host's own": [
      "neighbour-beside-fork-bomb",
      "neighbour-beside-thread-storm",
      "neighbour-beside-balloon",
      "neighbour-beside-spin",
      "neighbour-beside-disk-fill",
      "neighbour-beside-endless-output",
    ],
  },
};

const reasonIn = (table: Exceptions, target: string, id: string): string | undefined =>
  Object.entries(table[target] ?? {}).find(([, ids]) => ids.includes(id))?.[0];

/** Why the attack may get through there; undefined where it must not. */
export const excuse = (target: string, id: string): string | undefined => reasonIn(notPromised, target, id);
/** Why the attack is not tried there; undefined where it is. */
export const omission = (target: string, id: string): string | undefined => reasonIn(notTried, target, id);
/** Ids of attacks and targets that are named, so that none is misspelt. */
export const named = (): { readonly targets: readonly string[]; readonly attacks: readonly string[] } => ({
  targets: [...Object.keys(notPromised), ...Object.keys(notTried)],
  attacks: [notPromised, notTried].flatMap((table) => Object.values(table).flatMap((one) => Object.values(one).flat())),
});
