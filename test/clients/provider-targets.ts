import { engineLacks, startEngine } from "../../packages/server/src/providers/docker/docker-engine.testing.ts";

/** A provider as clients meet it: by a server whose default it is. */
export interface ProviderTarget {
  readonly name: string;
  /** As the public object of a sandbox calls it. */
  readonly provider: string;
  /** Keys of the server's configuration, and what has to run beside it. */
  open(): Promise<AsyncDisposable & { readonly config: Readonly<Record<string, string>> }>;
}

const builtIn = (provider: string): ProviderTarget => ({
  name: provider,
  provider,
  open: async () => ({
    config: { "providers.default": provider, [`providers.${provider}.enabled`]: "true" },
    async [Symbol.asyncDispose]() {},
  }),
});

const onEngine = (name: string, runtime: "runc" | "runsc", remap: boolean): ProviderTarget => ({
  name,
  provider: "docker",
  async open() {
    const lacks = engineLacks();
    if (lacks !== undefined) throw new Error(`${name}: ${lacks}`);
    const engine = await startEngine({ remap });
    return {
      config: {
        "providers.default": "docker",
        "providers.docker.enabled": "true",
        "providers.docker.socket": engine.socket,
        "providers.docker.runtime": runtime,
        "providers.docker.network_mode": "none",
      },
      [Symbol.asyncDispose]: () => engine.close(),
    };
  },
});

/** Every wall that this machine has; each looks the same to a client. */
export const providerTargets: readonly ProviderTarget[] = [
  builtIn("oci"),
  onEngine("docker", "runc", false),
  onEngine("docker with userns-remap", "runc", true),
  onEngine("docker with runsc", "runsc", false),
  builtIn("proot"),
  builtIn("mock"),
];
