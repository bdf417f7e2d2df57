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
