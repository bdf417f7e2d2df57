import { describeProvider } from "../provider-contract.ts";
import { engineLacks } from "./docker-engine.testing.ts";
import { dockerUnderTest } from "./docker-provider.testing.ts";

const mustNotSkip = process.env.STACYVM_TEST_MUST_NOT_SKIP?.includes("docker") ?? false;
const lacks = engineLacks();

describeProvider({ name: "plain docker", mustNotSkip, lacks, make: () => dockerUnderTest() });

describeProvider({
  name: "docker with userns-remap",
  mustNotSkip,
  lacks,
  make: () => dockerUnderTest({ remap: true }),
});

describeProvider({
  name: "docker with gVisor",
  mustNotSkip,
  lacks,
  make: () => dockerUnderTest({ runtime: "runsc" }),
  // Seen with runsc 0.0~20221219 as Debian 12 has it. Its own wall: gvisor.test.ts.
  differs: {
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
    "shows no device, engine or setting of the host that could be used": "device nodes made inside lead nowhere",
    "kills the command that takes more memory than there is, and not its neighbours":
      "the host sees one process and ends the whole sandbox",
    "shows the console of a living sandbox, and an empty one of a sandbox that is gone":
      "gVisor lets programs inside write to the first process's descriptors",
  },
});
