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
