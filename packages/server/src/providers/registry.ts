import type { Config } from "../config/schema.ts";
import type { ConnectGuest } from "../guest/guest.ts";
import type { HostHelper } from "./host-helper.ts";
import { mockProvider } from "./mock/mock.ts";
import { ociProvider } from "./oci/oci.ts";
import { prootProvider } from "./proot/proot.ts";
import type { IsolationClass, Provider } from "./provider.ts";

export interface ProviderNeeds {
  readonly config: Config["providers"];
  readonly serverId: string;
  readonly helper: HostHelper;
  readonly connectGuest: ConnectGuest;
}

/** One line a provider: when it is enabled and how it is made. */
const registry: Readonly<Record<string, (needs: ProviderNeeds) => Provider | undefined>> = {
  oci: (needs) =>
    needs.config.oci.enabled ? ociProvider({ ...needs, runtimePath: needs.config.oci.runtime }) : undefined,
  proot: (needs) =>
    needs.config.proot.enabled ? prootProvider({ ...needs, networkMode: needs.config.proot.networkMode }) : undefined,
  mock: (needs) => (needs.config.mock.enabled ? mockProvider(needs) : undefined),
};

export function createProviders(needs: ProviderNeeds): readonly Provider[] {
  return Object.values(registry).flatMap((make) => make(needs) ?? []);
}

const strength: readonly IsolationClass[] = ["none", "userspace", "container", "kernel", "microvm"];

/** What `auto` stands for: the strongest healthy wall. A provider without a wall is never chosen. */
export async function strongestHealthy(
  providers: readonly Provider[],
  signal: AbortSignal,
): Promise<Provider | undefined> {
  const walled = providers
    .filter((provider) => provider.capabilities.isolation !== "none")
    .sort((a, b) => strength.indexOf(b.capabilities.isolation) - strength.indexOf(a.capabilities.isolation));
  for (const provider of walled) {
    const healthy = await provider.fingerprint(signal).then(
      (fingerprint) => fingerprint.healthy,
      // One that can't even tell is not healthy; /providers says why.
      () => false,
    );
    if (healthy) return provider;
  }
  return undefined;
}
