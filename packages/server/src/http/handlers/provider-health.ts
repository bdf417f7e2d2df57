import type { ProviderHealth, ProviderReport } from "@stacyvm/contract";
import { type Remark, remarkOf } from "../../lib/remark.ts";
import type { DefaultChoice } from "../../providers/choice.ts";
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
  readonly choice: DefaultChoice;
  /** May be a few seconds old; never throws: a check that fails is an unhealthy fingerprint. */
  fingerprint(name: string, signal: AbortSignal): Promise<CheckedFingerprint>;
  /** What is wrong with it although it serves; never throws. */
  warnings(name: string): Promise<readonly Remark[]>;
}

export interface ProviderHealthOptions {
  readonly directory: ProviderDirectory;
  readonly provider: Provider;
  readonly runtimeCount: number;
  readonly signal: AbortSignal;
}

/** The public health object of one provider. */
const providerHealth = async (options: ProviderHealthOptions): Promise<ProviderHealth> => {
  const { directory, provider } = options;
  return healthOf(options, await directory.fingerprint(provider.name, options.signal));
};

const healthOf = (options: ProviderHealthOptions, checked: CheckedFingerprint): ProviderHealth => {
  const { directory, provider } = options;
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

const profiles = ["default", "restricted"] as const;

/** Its health, and what it promises here. */
export const providerReport = async (options: ProviderHealthOptions): Promise<ProviderReport> => {
  const { directory, provider } = options;
  const [checked, warnings] = await Promise.all([
    directory.fingerprint(provider.name, options.signal),
    directory.warnings(provider.name),
  ]);
  // After the check: what a provider holds may follow from what it found.
  const {
    isolation,
    limits,
    networks,
    egressLevel = "transparent",
    securityProfiles,
    profileRemedies,
  } = provider.capabilities;
  return {
    ...healthOf(options, checked),
    default_reason: directory.choice.verdicts.find(({ name }) => name === provider.name)?.reason ?? "",
    isolation,
    versions: { ...checked.versions },
    limits: {
      memory: limits.memory,
      cpu: limits.cpu,
      pids: limits.pids,
      disk: limits.disk,
      tree_kill: limits.treeKill,
    },
    security_profiles: profiles.map((name) => {
      const offered = securityProfiles.includes(name);
      const remedy = profileRemedies?.[name];
      return { name, offered, ...(offered || remedy === undefined ? {} : { remedy }) };
    }),
    networks: [...networks],
    ...(networks.includes("egress") ? { egress_level: egressLevel } : {}),
    missing: checked.missing.map((text) => ({ ...remarkOf(text) })),
    warnings: warnings.map((each) => ({ ...each })),
  };
};

export interface AllHealthOptions {
  readonly directory: ProviderDirectory;
  readonly countByProvider: () => Promise<Readonly<Record<string, number>>>;
  readonly signal: AbortSignal;
}

/** Health of every provider, checked side by side. */
export const allHealth = (options: AllHealthOptions): Promise<ProviderHealth[]> => each(options, providerHealth);

/** As allHealth, with what each promises here. */
export const allReports = (options: AllHealthOptions): Promise<ProviderReport[]> => each(options, providerReport);

async function each<T>(
  { directory, countByProvider, signal }: AllHealthOptions,
  tell: (options: ProviderHealthOptions) => Promise<T>,
): Promise<T[]> {
  const counts = await countByProvider();
  return await Promise.all(
    directory.list().map((provider) => tell({ directory, provider, runtimeCount: counts[provider.name] ?? 0, signal })),
  );
}
