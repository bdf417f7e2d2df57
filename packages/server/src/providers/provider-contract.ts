import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { deadlineContract } from "./contract/deadline-contract.ts";
import { execContract } from "./contract/exec-contract.ts";
import { filesContract } from "./contract/files-contract.ts";
import { foldersContract } from "./contract/folders-contract.ts";
import { hostileArchivesContract } from "./contract/hostile-archives-contract.ts";
import { hostilePathsContract } from "./contract/hostile-paths-contract.ts";
import { lifecycleContract } from "./contract/lifecycle-contract.ts";
import { limitsContract } from "./contract/limits-contract.ts";
import { namesContract } from "./contract/names-contract.ts";
import { portsContract } from "./contract/ports-contract.ts";
import { processEndsContract } from "./contract/process-ends-contract.ts";
import { processesContract } from "./contract/processes-contract.ts";
import { settingsContract } from "./contract/settings-contract.ts";
import { type ProviderSuite, type ProviderUnderTest, sandboxId, sh, signal, until } from "./contract/suite.testing.ts";
import { uploadsContract } from "./contract/uploads-contract.ts";
import { wallContract } from "./contract/wall-contract.ts";
import { watchContract } from "./contract/watch-contract.ts";
import { type HostSnapshot, hostSnapshot, leftBehind } from "./host-snapshot.testing.ts";
import type { Provider, Runtime, SandboxSpec, SecurityProfile } from "./provider.ts";
import { sandboxSpec } from "./sandbox-spec.testing.ts";

export interface ProviderContractOptions {
  readonly name: string;
  readonly make: () => Promise<ProviderUnderTest>;
  /** True where CI promises that this provider's runtime is present: then unhealthy is a failure, not a skip. */
  readonly mustNotSkip: boolean;
  /** Known before anything is made: why the provider can't be tried on this machine. */
  readonly lacks?: string | undefined;
  /** Tests that this runtime can't pass, by name, each with what it does instead. */
  readonly differs?: Readonly<Record<string, string>>;
}

/** Other work on the machine may come and go meanwhile; what is left behind stays. */
const quietWithinMs = 25_000;
const testTimeoutMs = 60_000;

/** The suite that every provider passes. */
export const describeProvider = (options: ProviderContractOptions): void => {
  describe(`provider ${options.name}`, () => {
    let under: ProviderUnderTest;
    let provider: Provider;
    let before: HostSnapshot;
    let missing: readonly string[] = [];
    const runtimes = new Map<SecurityProfile, Runtime>();

    /** As a spawn that names none. */
    const usualProfile = (): SecurityProfile => {
      const [first = "default"] = provider.capabilities.securityProfiles;
      return first;
    };
    const spec = (more: Partial<SandboxSpec> = {}): SandboxSpec =>
      sandboxSpec({
        id: sandboxId(),
        image: under.image,
        security: usualProfile(),
        network: provider.capabilities.networks.includes("none") ? "none" : "host",
        ...more,
      });

    const differs = new Map(Object.entries(options.differs ?? {}));
    const test: ProviderSuite["test"] = (name, body) => {
      const difference = differs.get(name);
      differs.delete(name);
      it(
        name,
        async (context) => {
          if (difference !== undefined) context.skip(`${options.name}: ${difference}`);
          if (missing.length > 0) context.skip(`${options.name}: ${missing.join("; ")}`);
          await body();
        },
        testTimeoutMs,
      );
    };

    const suite: ProviderSuite = {
      under: () => under,
      provider: () => provider,
      runtimes,
      spec,
      test,
      each(name, body) {
        test(name, async () => {
          for (const [profile, runtime] of runtimes) await body(runtime, profile);
        });
      },
      async withSandbox(more, body) {
        const runtime = await provider.spawn(spec(more), signal());
        try {
          await body(runtime);
        } finally {
          await runtime.destroy(signal());
        }
      },
    };

    beforeAll(async () => {
      if (options.lacks === undefined) {
        under = await options.make();
        provider = under.open();
        missing = (await provider.fingerprint(signal())).missing;
      } else {
        missing = [options.lacks];
      }
      if (missing.length > 0) {
        if (options.mustNotSkip) throw new Error(`${options.name} must not be skipped: ${missing.join("; ")}`);
        return;
      }
      // The first sandbox makes what is made once, such as a formatted disk.
      await suite.withSandbox({}, async () => {});
      before = await hostSnapshot({ dataRoot: under.dataRoot });
      for (const security of provider.capabilities.securityProfiles) {
        runtimes.set(security, await provider.spawn(spec({ security }), signal()));
      }
    }, 60_000);

    afterAll(async () => {
      for (const runtime of runtimes.values()) await runtime.destroy(signal());
      // What a failed test left.
      for (const one of (await provider?.list(signal())) ?? []) await provider.reap(one.sandboxId, signal());
      await provider?.[Symbol.asyncDispose]();
      await under?.close();
    }, 60_000);

    execContract(suite);
    settingsContract(suite);
    deadlineContract(suite);
    filesContract(suite);
    uploadsContract(suite);
    foldersContract(suite);
    hostileArchivesContract(suite);
    namesContract(suite);
    hostilePathsContract(suite);
    wallContract(suite);
    limitsContract(suite);
    processesContract(suite);
    processEndsContract(suite);
    portsContract(suite);
    watchContract(suite);
    lifecycleContract(suite);

    // Last: it ends the sandboxes that the others used.
    test("leaves nothing on the host, however busy the sandboxes were", async () => {
      for (const runtime of runtimes.values()) {
        await sh(runtime.guest, "for i in 1 2 3; do setsid sleep 1000 & done; dd if=/dev/zero of=/tmp/f bs=1M count=8");
        await runtime.destroy(signal());
      }
      runtimes.clear();
      const left = await until(
        async () => leftBehind(before, await hostSnapshot({ dataRoot: under.dataRoot })),
        (names) => names.length === 0,
        quietWithinMs,
      );
      expect(left).toEqual([]);
    });

    if (differs.size > 0) throw new Error(`${options.name} differs in tests that are none: ${[...differs.keys()]}`);
  });
};
