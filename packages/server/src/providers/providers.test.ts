import { rm } from "node:fs/promises";
import { join } from "node:path";
import { connectGuest } from "../guest/agent/connect-guest.ts";
import type { ProviderUnderTest } from "./contract/suite.testing.ts";
import { buildNative, busyboxImage, killServing, makeTestHost } from "./host.testing.ts";
import { type HostHelper, hostHelper } from "./host-helper.ts";
import { mockProvider } from "./mock/mock.ts";
import { ociProvider } from "./oci/oci.ts";
import type { Provider } from "./provider.ts";
import { describeProvider } from "./provider-contract.ts";

const serverId = "test";
const [runcPath, crunPath, runscPath] = ["/usr/sbin/runc", "/usr/bin/crun", "/usr/bin/runsc"];

const oci = (runtimePath: string) => (helper: HostHelper) =>
  ociProvider({ serverId, helper, connectGuest, runtimePath });

const make =
  (provider: (helper: HostHelper) => Provider, needsImage: boolean, runtimePath = runcPath) =>
  async (): Promise<ProviderUnderTest> => {
    const { dataRoot, programPath, agentPath } = await makeTestHost();
    const image = needsImage ? await busyboxImage(join(dataRoot, "images/busybox")) : undefined;
    const probePath = buildNative("wall-probe", join(dataRoot, "programs"));
    let helper: HostHelper;
    const open = () => {
      helper = hostHelper({ programPath, dataRoot, agentPath, runtimePath });
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
