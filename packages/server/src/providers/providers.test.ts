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
const [runcPath, crunPath] = ["/usr/sbin/runc", "/usr/bin/crun"];

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
  name: "mock",
  mustNotSkip: process.env.STACYVM_TEST_MUST_NOT_SKIP?.includes("mock") ?? false,
  make: make((helper) => mockProvider({ serverId, helper, connectGuest }), false),
});
