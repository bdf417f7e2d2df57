import { join } from "node:path";
import { findProgram } from "../../packages/server/src/lib/find-program.ts";
import { type HostOwned, hostHelper } from "../../packages/server/src/providers/host-helper.ts";

const native = join(import.meta.dirname, "../../build");

/** What the host itself says of a data directory's sandboxes: the truth, not the server under test. */
export const ownedBy = async (dataDir: string): Promise<readonly HostOwned[]> => {
  await using helper = hostHelper({
    programPath: join(native, "stacyvm-host"),
    agentPath: join(native, "stacyvm-agent"),
    dataRoot: join(dataDir, "oci"),
    imagesRoot: join(dataDir, "images"),
    runtimePath: findProgram("runc"),
  });
  return await helper.call("list", {}, AbortSignal.timeout(10_000));
};
