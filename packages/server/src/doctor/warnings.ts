import type { Remark } from "../lib/remark.ts";
import type { Fingerprint, Provider } from "../providers/provider.ts";
import { engineFindings } from "./engine.ts";
import { createHost } from "./host.ts";
import { createRuntimeWarnings, remarksOf } from "./runtimes.ts";

/** What of a provider's programs is older than its fixed release. Never throws. */
export function createWarnings(ociRuntime: string) {
  const ofOci = createRuntimeWarnings(createHost(), ociRuntime);
  return async ({ name, publicConfig }: Provider, { versions }: Fingerprint): Promise<readonly Remark[]> => {
    if (name === "oci") return await ofOci();
    if (name === "docker")
      return remarksOf(engineFindings({ versions, remapsUsers: publicConfig.userns_remap === "true" }));
    return [];
  };
}
