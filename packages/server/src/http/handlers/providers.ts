import { type DiskFigures, type providerOperations, StacyError } from "@stacyvm/contract";
import type { Provider } from "../../providers/provider.ts";
import type { Store } from "../../store/store.ts";
import type { HandlersOf } from "../handler.ts";
import { allHealth, allReports, type ProviderDirectory, providerReport } from "./provider-health.ts";

export interface ProviderHandlersOptions {
  readonly directory: ProviderDirectory;
  readonly store: Store;
  readonly diskFigures: () => Promise<DiskFigures>;
}

export const createProviderHandlers = (options: ProviderHandlersOptions): HandlersOf<typeof providerOperations> => {
  const { directory, store } = options;
  const find = (name: string): Provider => {
    const provider = directory.get(name);
    if (provider === undefined) throw new StacyError("provider_not_found", `provider not found: ${name}`);
    return provider;
  };
  const promisedBytes = async (name: string) => (await store.sandboxes.diskMb(name)) * 1024 ** 2;
  const countByProvider = () => store.sandboxes.countByProvider();
  const healthOf = async (provider: Provider, signal: AbortSignal) => {
    const runtimeCount = await store.sandboxes.count({ provider: provider.name });
    return providerReport({ directory, provider, runtimeCount, signal });
  };

  return {
    "providers.list": async ({ signal }) => ({
      status: 200,
      body: await allReports({ directory, countByProvider, signal }),
    }),
    "providers.test": async ({ signal }) => {
      const all = await allHealth({ directory, countByProvider, signal });
      return { status: 200, body: Object.fromEntries(all.map(({ name, healthy }) => [name, healthy])) };
    },
    "providers.get": async ({ params, signal }) => {
      const provider = find(params.name);
      const health = await healthOf(provider, signal);
      return {
        status: 200,
        body: {
          name: provider.name,
          healthy: health.healthy,
          default: health.default,
          sandbox_count: health.runtime_count ?? 0,
          health,
          config: { ...provider.publicConfig },
          disk: {
            ...(await options.diskFigures()),
            sandboxes_promised_bytes: provider.capabilities.limits.disk ? await promisedBytes(provider.name) : 0,
          },
        },
      };
    },
    "providers.health": async ({ params, signal }) => ({
      status: 200,
      body: await healthOf(find(params.name), signal),
    }),
  };
};
