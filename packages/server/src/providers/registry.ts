import { z } from "zod";
import type { ConnectGuest } from "../guest/guest.ts";
import type { HostHelper } from "./host-helper.ts";
import { mockProvider } from "./mock/mock.ts";
import { ociProvider } from "./oci/oci.ts";
import type { Provider } from "./provider.ts";

/** What the composition root gives to every provider. */
export interface ProviderSurroundings {
  readonly serverId: string;
  readonly helper: HostHelper;
  readonly connectGuest: ConnectGuest;
}

const absolutePath = z.string().regex(/^\/[^\0]*$/, "an absolute path");

/** Settings of each provider, beneath `providers.<name>`. */
export const providerConfigs = {
  oci: z.strictObject({
    enabled: z.boolean().default(true),
    /** runc, crun, or another program with their command line. */
    runtime: absolutePath.default("/usr/sbin/runc"),
    /** Put before the runtime's own verb, for example `--platform=ptrace` of runsc. */
    runtime_args: z.array(z.string().min(1).max(256)).max(32).default([]),
  }),
  mock: z.strictObject({ enabled: z.boolean().default(false) }),
} as const;

export type ProviderName = keyof typeof providerConfigs;
export type ProviderConfig<N extends ProviderName> = z.infer<(typeof providerConfigs)[N]>;

type Factories = {
  readonly [N in ProviderName]: (config: ProviderConfig<N>, surroundings: ProviderSurroundings) => Provider;
};

/** Name to factory. A new provider is a folder, a line here, a schema above, and a line that runs the suite. */
export const providerFactories: Factories = {
  oci: (config, surroundings) => ociProvider({ ...surroundings, runtimePath: config.runtime }),
  mock: (_config, surroundings) => mockProvider(surroundings),
};
