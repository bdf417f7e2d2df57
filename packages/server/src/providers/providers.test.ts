import { execFileSync } from "node:child_process";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { connectGuest } from "../guest/agent/connect-guest.ts";
import type { ProviderUnderTest } from "./contract/suite.testing.ts";
import { buildNative, busyboxImage, killServing, makeTestHost } from "./host.testing.ts";
import { type HostHelper, hostHelper } from "./host-helper.ts";
import { mockProvider } from "./mock/mock.ts";
import { ociProvider } from "./oci/oci.ts";
import { prootProvider } from "./proot/proot.ts";
import type { Provider } from "./provider.ts";
import { describeProvider } from "./provider-contract.ts";

const serverId = "test";
const [runcPath, crunPath, runscPath] = ["/usr/sbin/runc", "/usr/bin/crun", "/usr/bin/runsc"];

const systemPath = "/usr/sbin:/usr/bin:/sbin:/bin";

const oci = (runtimePath: string) => (helper: HostHelper) =>
  ociProvider({ serverId, helper, connectGuest, runtimePath });

/** Starts the host program as somebody; the program's path and its arguments follow. */
type Launcher = readonly [string, ...string[]];

/** An id that nobody has, and that sees nothing of the host but what everybody may. */
const user = 61_234;
const unprivileged: Launcher =
  process.getuid?.() === 0
    ? ["setpriv", `--reuid=${user}`, `--regid=${user}`, "--clear-groups", "--no-new-privs", "--"]
    : ["env"];
/** Where the kernel gives no user namespaces to anybody. */
const withoutNamespaces: Launcher = [
  ...unprivileged,
  ...["unshare", "--user", `--map-user=${user}`, `--map-group=${user}`, "--keep-caps", "--"],
  ...["sh", "-c", 'echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --ambient-caps=-all -- "$0" "$@"'],
];

const make =
  (
    provider: (helper: HostHelper) => Provider,
    needsImage: boolean,
    runtimePath = runcPath,
    launcher: Launcher | undefined = undefined,
  ) =>
  async (): Promise<ProviderUnderTest> => {
    const { dataRoot, programPath, agentPath } = await makeTestHost();
    const image = needsImage ? await busyboxImage(join(dataRoot, "images/busybox")) : undefined;
    const probePath = buildNative("wall-probe", join(dataRoot, "programs"));
    let startPath = programPath;
    if (launcher !== undefined) {
      startPath = join(dataRoot, "programs", "launcher");
      const words = [...launcher, programPath].map((word) => `'${word}'`);
      await writeFile(startPath, `#!/bin/sh\nexec ${words.join(" ")} "$@"\n`, { mode: 0o755 });
      if (process.getuid?.() === 0) execFileSync("chown", ["-R", `${user}:${user}`, dataRoot]);
    }
    let helper: HostHelper;
    const open = () => {
      helper = hostHelper({ programPath: startPath, dataRoot, agentPath, runtimePath, env: { PATH: systemPath } });
      return provider(helper);
    };
    return {
      dataRoot,
      image,
      probePath,
      open,
      async crash() {
        await killServing(programPath);
      },
      async close() {
        await helper[Symbol.asyncDispose]();
        await rm(dataRoot, { recursive: true });
      },
    };
  };

describeProvider({
  name: "oci",
  mustNotSkip: process.env.STACYVM_TEST_MUST_NOT_SKIP?.includes("oci") ?? false,
  make: make(oci(runcPath), true),
});

describeProvider({
  name: "crun as oci's runtime",
  mustNotSkip: false,
  make: make(oci(crunPath), true, crunPath),
});

describeProvider({
  name: "runsc as oci's runtime",
  mustNotSkip: process.env.STACYVM_TEST_MUST_NOT_SKIP?.includes("runsc") ?? false,
  make: make(oci(runscPath), true, runscPath),
  // Seen with runsc 0.0~20221219 as Debian 12 has it. Its own wall: oci/gvisor.test.ts.
  differs: {
    "carries a folder out and in again: modes, owners, times, links and odd names":
      "gVisor keeps the attributes of a file's hard links apart by name until the sandbox ends",
    "sends a sparse terabyte piece by piece, and holds none of it": "gVisor's /proc tells no VmHWM",
    "has lost every privilege that its profile doesn't name": "gVisor's /proc tells no NoNewPrivs; it is always set",
    "is refused every call that reaches for the host or administers the kernel":
      "device nodes, OOM scores and TUN devices made inside are those of gVisor's own kernel",
    "cannot make user namespaces, nor other namespaces without one":
      "namespaces made inside are of gVisor's own kernel",
    "shares no namespace between sandboxes": "namespaces seen inside are of gVisor's own kernel",
    "frees a connection that its caller leaves, though the program holds its end":
      "gVisor tells its programs of no hang-up; the program's own end frees it",
    "finds masked paths empty and the kernel's settings read-only": "/proc and /sys are gVisor's own",
    "is never root on the host": "the map of users inside is gVisor's own",
    "shows no device, engine or setting of the host that could be used": "device nodes made inside lead nowhere",
    "has no network but its own loopback": "the sandbox sees the name of its own agent's socket",
    "kills the command that takes more memory than there is, and not its neighbours":
      "the host sees one process and ends the whole sandbox",
    "shows the console of a living sandbox, and an empty one of a sandbox that is gone":
      "gVisor lets root inside write to the first process's descriptors",
  },
});

describeProvider({
  name: "mock",
  mustNotSkip: process.env.STACYVM_TEST_MUST_NOT_SKIP?.includes("mock") ?? false,
  make: make((helper) => mockProvider({ serverId, helper, connectGuest }), false),
});

const proot = (networkMode: "none" | "host") => (helper: HostHelper) =>
  prootProvider({ serverId, helper, connectGuest, networkMode });

/** Seen with PRoot 5.1.0 as Debian 12 has it. What its sandboxes are kept from all the same: proot/proot.test.ts. */
const prootDiffers = {
  "carries a folder out and in again: modes, owners, times, links and odd names":
    "PRoot only pretends that a file has another owner, and forgets it at once",
  "keeps the archive's mode, and its owner where the profile lets it": "as above: every file is the sandbox's user's",
  "makes a path as deep as one may be, and lists 64 levels and no more":
    "PRoot hands the kernel a path that begins on the host, and so has fewer bytes left for its own",
  "lists a directory whose entries lie deeper than any path can say": "as above",
  "takes any name as it is, through every operation": "PRoot takes names of up to 254 bytes, one fewer than the kernel",
  "stays in its folder while a directory there turns into a symlink and back":
    "PRoot looks where a path leads, and lets the kernel look again: what changes in between is followed, to any place " +
    "that the sandbox itself may write to",
  "sends a sparse terabyte piece by piece, and holds none of it":
    "no file may be larger than the disk that was asked for",
  "has lost every privilege that its profile doesn't name": "it has none at all; what root can do, PRoot pretends",
  "is refused every call that reaches for the host or administers the kernel":
    "calls that PRoot doesn't know do not exist, and of those that it pretends some seem to succeed",
  "finds masked paths empty and the kernel's settings read-only":
    "/proc is shown as the kernel gives it to a user without rights",
  "shows no device, engine or setting of the host that could be used": "PRoot pretends that mknod and chroot succeed",
  "tells nothing of where things lie on the host": "mountinfo and maps name the sandbox's directory on the host",
  "tells memory, processor, processes and disk in use": "there is no disk of its own, so the host's is told",
  "input for a process that doesn't read is refused in time, and nothing of it was taken":
    "PRoot lets a process go on that was told to stop",
  "ends a watch that isn't read by saying that changes were lost":
    "18,000 changes take longer under PRoot, which stops each call twice, than the test waits",
};

describeProvider({
  name: "proot",
  mustNotSkip: process.env.STACYVM_TEST_MUST_NOT_SKIP?.includes("proot") ?? false,
  make: make(proot("none"), true),
  differs: prootDiffers,
});

describeProvider({
  name: "proot without root",
  mustNotSkip: process.env.STACYVM_TEST_MUST_NOT_SKIP?.includes("proot") ?? false,
  make: make(proot("none"), true, runcPath, unprivileged),
  differs: { ...prootDiffers, "is never root on the host": "it is the user that started the server" },
});

describeProvider({
  name: "proot without root or namespaces",
  mustNotSkip: process.env.STACYVM_TEST_MUST_NOT_SKIP?.includes("proot") ?? false,
  make: make(proot("host"), true, runcPath, withoutNamespaces),
  differs: {
    ...prootDiffers,
    "is never root on the host": "it is the user that started the server",
    "has no network but its own loopback": "the network is the host's, as the operator had to say",
    "hides sandboxes from one another": "the processes of the host are seen",
    "shares no namespace between sandboxes": "there are none",
  },
});
