import { join } from "node:path";
import { findProgram } from "../../packages/server/src/lib/find-program.ts";
import { type HostHelper, type HostOwned, hostHelper } from "../../packages/server/src/providers/host-helper.ts";

const native = join(import.meta.dirname, "../../build");

const withHelper = async <T>(dataDir: string, work: (helper: HostHelper) => Promise<T>): Promise<T> => {
  await using helper = hostHelper({
    programPath: join(native, "stacyvm-host"),
    agentPath: join(native, "stacyvm-agent"),
    dataRoot: join(dataDir, "oci"),
    imagesRoot: join(dataDir, "images"),
    runtimePath: findProgram("runc"),
  });
  return await work(helper);
};

const signal = () => AbortSignal.timeout(10_000);

/** What the host itself says of a data directory's sandboxes: the truth, not the server under test. */
export const ownedBy = (dataDir: string): Promise<readonly HostOwned[]> =>
  withHelper(dataDir, (helper) => helper.call("list", {}, signal()));

/** Ends what a server left behind that nobody starts again. */
export const destroyOwned = (dataDir: string): Promise<void> =>
  withHelper(dataDir, async (helper) => {
    for (const { sandbox_id } of await helper.call("list", {}, signal())) {
      await helper.call("destroy", { sandbox_id }, signal());
    }
  });
