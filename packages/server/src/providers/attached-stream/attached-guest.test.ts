import { afterAll, beforeAll, describe, it } from "vitest";
import { connectGuest } from "../../guest/agent/connect-guest.ts";
import { deadlineContract } from "../contract/deadline-contract.ts";
import { execContract } from "../contract/exec-contract.ts";
import { filesContract } from "../contract/files-contract.ts";
import { foldersContract } from "../contract/folders-contract.ts";
import { portsContract } from "../contract/ports-contract.ts";
import { processEndsContract } from "../contract/process-ends-contract.ts";
import { processesContract } from "../contract/processes-contract.ts";
import type { ProviderSuite, ProviderUnderTest } from "../contract/suite.testing.ts";
import { uploadsContract } from "../contract/uploads-contract.ts";
import { watchContract } from "../contract/watch-contract.ts";
import type { Runtime, SecurityProfile } from "../provider.ts";
import { sandboxSpec } from "../sandbox-spec.testing.ts";
import { type AttachedDial, attachedDial } from "./attached-dial.ts";
import { type AttachedAgent, attachedAgent } from "./engine.testing.ts";

/** They make sandboxes of their own, or end what stands around one; a provider's suite has them over this transport too. */
const needsProvider = new Set([
  "runs as the user that was asked for, and under restricted only as 1000",
  "a disk that fills up meanwhile leaves the old content, and the upload goes on once there is room",
  "keeps the archive's mode, and its owner where the profile lets it",
  "packs the whole root without what the kernel makes up",
  "finds the same process again under its id after a restart of the provider's programs",
]);

/** What every provider's guest does, over one attached stream. */
describe("a guest behind an attached stream", () => {
  let agent: AttachedAgent;
  let attached: AttachedDial;
  const runtimes = new Map<SecurityProfile, Runtime>();
  const none = (): never => {
    throw new Error("there is no provider here");
  };
  const test: ProviderSuite["test"] = (name, body) => {
    it(name, async (context) => {
      if (needsProvider.has(name)) context.skip("there is no provider here: Docker's suite runs it over such a stream");
      await body();
    }, 60_000);
  };
  const suite: ProviderSuite = {
    under: () => ({ probePath: agent.probePath }) as ProviderUnderTest,
    provider: none,
    runtimes,
    spec: (more = {}) => sandboxSpec({ id: "sb-attached", ...more }),
    test,
    each: (name, body) =>
      test(name, async () => {
        for (const [profile, runtime] of [...runtimes]) await body(runtime, profile);
      }),
    withSandbox: none,
  };

  beforeAll(async () => {
    agent = await attachedAgent();
    attached = attachedDial({ attach: agent.attach, key: agent.key });
    const guest = connectGuest({ dial: attached.dial, label: "attached", multiplexed: true });
    runtimes.set("default", { guest, sandboxId: "sb-attached" } as Runtime);
    await guest.ready(AbortSignal.timeout(10_000));
  });
  afterAll(async () => {
    await runtimes.get("default")?.guest[Symbol.asyncDispose]();
    attached?.close();
    await agent?.close();
  });

  execContract(suite);
  deadlineContract(suite);
  filesContract(suite);
  uploadsContract(suite);
  foldersContract(suite);
  processesContract(suite);
  processEndsContract(suite);
  portsContract(suite);
  watchContract(suite);
});
