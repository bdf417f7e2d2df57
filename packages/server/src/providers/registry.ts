import { join } from "node:path";
import type { Config } from "../config/schema.ts";
import type { ConnectGuest } from "../guest/guest.ts";
import type { EngineImages } from "../images/image-store.ts";
import { dockerProvider } from "./docker/docker.ts";
import type { PullNote } from "./docker/images.ts";
import type { HostHelper } from "./host-helper.ts";
import { mockProvider } from "./mock/mock.ts";
import { ociProvider } from "./oci/oci.ts";
import { prootProvider } from "./proot/proot.ts";
import type { Provider } from "./provider.ts";

export interface ProviderNeeds {
  readonly config: Config["providers"];
  readonly serverId: string;
  readonly helper: HostHelper;
  readonly connectGuest: ConnectGuest;
  /** For engines that keep images of their own. */
  readonly images: EngineImages;
  /** The agent's program on this host. */
  readonly agentPath: string;
  /** A folder of it is a provider's own. */
  readonly dataDir: string;
  readonly onImageNote: (note: PullNote) => void;
}

/** One line a provider: when it is enabled and how it is made. */
const registry: Readonly<Record<string, (needs: ProviderNeeds) => Provider | undefined>> = {
  oci: (needs) =>
    needs.config.oci.enabled ? ociProvider({ ...needs, runtimePath: needs.config.oci.runtime }) : undefined,
  docker: (needs) =>
    needs.config.docker.enabled
      ? dockerProvider({
          ...needs,
          settings: needs.config.docker,
          doorsDirectory: join(needs.dataDir, "docker"),
          egressDirectory: join(needs.config.oci.stateDir, "egress"),
          onNote: needs.onImageNote,
        })
      : undefined,
  proot: (needs) =>
    needs.config.proot.enabled ? prootProvider({ ...needs, networkMode: needs.config.proot.networkMode }) : undefined,
  mock: (needs) => (needs.config.mock.enabled ? mockProvider(needs) : undefined),
};

/** Every provider there is, enabled or not, in the registry's order. */
export const providerNames: readonly string[] = Object.keys(registry);

export function createProviders(needs: ProviderNeeds): readonly Provider[] {
  return Object.values(registry).flatMap((make) => make(needs) ?? []);
}
