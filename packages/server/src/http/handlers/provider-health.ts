import type { ProviderHealth } from "@stacyvm/contract";
import type { Fingerprint, Provider } from "../../providers/provider.ts";
import { rfc3339Seconds } from "./wire-time.ts";

export interface CheckedFingerprint extends Fingerprint {
  readonly checkedAtMs: number;
  /** How long the check took. */
  readonly latencyMs: number;
}

/** The configured providers. */
export interface ProviderDirectory {
  /** In the order of the configuration. */
  list(): readonly Provider[];
  get(name: string): Provider | undefined;
  /** Empty when none is healthy enough to be the default. */
  readonly defaultName: string;
  /** May be a few seconds old; never throws: a check that fails is an unhealthy fingerprint. */
  fingerprint(name: string, signal: AbortSignal): Promise<CheckedFingerprint>;
}

export interface ProviderHealthOptions {
  readonly directory: ProviderDirectory;
  readonly provider: Provider;
  readonly runtimeCount: number;
  readonly signal: AbortSignal;
}

/** The public health object of one provider. */
export const providerHealth = async (options: ProviderHealthOptions): Promise<ProviderHealth> => {
  const { directory, provider } = options;
  const checked = await directory.fingerprint(provider.name, options.signal);
  return {
    name: provider.name,
    healthy: checked.healthy,
    default: provider.name === directory.defaultName,
    latency_ms: Math.round(checked.latencyMs),
    last_checked: rfc3339Seconds(checked.checkedAtMs),
    ...(checked.healthy ? {} : { error: checked.missing.join("; ") || "health check returned false" }),
    capabilities: [...provider.capabilities.tags],
    runtime_count: options.runtimeCount,
  };
};

export interface AllHealthOptions {
  readonly directory: ProviderDirectory;
  readonly countByProvider: () => Promise<Readonly<Record<string, number>>>;
  readonly signal: AbortSignal;
}

/** Health of every provider, checked side by side. */
export const allHealth = async ({
  directory,
  countByProvider,
  signal,
}: AllHealthOptions): Promise<ProviderHealth[]> => {
  const counts = await countByProvider();
  return Promise.all(
    directory
      .list()
      .map((provider) => providerHealth({ directory, provider, runtimeCount: counts[provider.name] ?? 0, signal })),
  );
};
