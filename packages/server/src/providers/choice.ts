import type { Fingerprint, IsolationClass, Provider } from "./provider.ts";

/** Weakest first. */
const strength: readonly IsolationClass[] = ["none", "userspace", "container", "kernel", "microvm"];

export interface Candidate {
  readonly provider: Pick<Provider, "name" | "capabilities" | "publicConfig">;
  readonly fingerprint: Pick<Fingerprint, "healthy" | "missing">;
}

/** Why a provider is, or isn't, the one that a sandbox gets which names none. */
export interface Verdict {
  readonly name: string;
  readonly chosen: boolean;
  /** Without the name, for example "weaker than oci" or "not healthy: not root; start the server as root". */
  readonly reason: string;
}

export interface DefaultChoice {
  /** Of the configuration: a name, or `auto`. */
  readonly wanted: string;
  /** Empty where nothing could be chosen. */
  readonly name: string;
  /** One for each provider, in the registry's order. */
  readonly verdicts: readonly Verdict[];
}

/**
 * What a sandbox gets that names no provider: the one that is wanted, or for `auto` the strongest healthy wall; of two
 * that are as strong the one that comes first. A provider without a wall is never chosen by `auto`.
 */
export function chooseDefault(wanted: string, candidates: readonly Candidate[]): DefaultChoice {
  const chosen =
    wanted === "auto" ? strongest(candidates) : candidates.find(({ provider }) => provider.name === wanted);
  const verdicts = candidates.map((candidate): Verdict => {
    const { name } = candidate.provider;
    if (candidate === chosen) return { name, chosen: true, reason: whyChosen(wanted, candidate) };
    return { name, chosen: false, reason: whyNot(wanted, candidate, chosen) };
  });
  return { wanted, name: chosen?.provider.name ?? "", verdicts };
}

/** One line for a log or a terminal, for example "oci (container) chosen: the strongest healthy wall; mock: no wall". */
export function describeChoice({ wanted, name, verdicts }: DefaultChoice): string {
  const others = verdicts.filter(({ chosen }) => !chosen).map((verdict) => `${verdict.name}: ${verdict.reason}`);
  const chosen = verdicts.find((verdict) => verdict.chosen);
  const none =
    wanted === "auto"
      ? "none chosen, no wall is healthy"
      : `none chosen, providers.default names ${wanted}, which isn't enabled`;
  return [chosen === undefined ? none : `${name}: ${chosen.reason}`, ...others].join("; ");
}

/** The class, and what the provider says of its wall where that is more, for example "container, userns-remap". */
export function wallOf({ capabilities, publicConfig }: Candidate["provider"]): string {
  const remapped = publicConfig.userns_remap === "true" ? "userns-remap" : "";
  return [capabilities.isolation, publicConfig.isolation ?? "", remapped]
    .filter((word, at, all) => word !== "" && all.indexOf(word) === at)
    .join(", ");
}

const rank = ({ provider }: Candidate): number => strength.indexOf(provider.capabilities.isolation);

function strongest(candidates: readonly Candidate[]): Candidate | undefined {
  const walls = candidates.filter(
    (each) => each.fingerprint.healthy && each.provider.capabilities.isolation !== "none",
  );
  return walls.reduce<Candidate | undefined>(
    (best, each) => (best === undefined || rank(each) > rank(best) ? each : best),
    undefined,
  );
}

const whyChosen = (wanted: string, { provider, fingerprint }: Candidate): string => {
  if (wanted === "auto") return `chosen, the strongest healthy wall (${wallOf(provider)})`;
  const unhealthy = fingerprint.healthy ? "" : `, but not healthy: ${fingerprint.missing.join("; ")}`;
  return `chosen, named by providers.default (${wallOf(provider)})${unhealthy}`;
};

function whyNot(wanted: string, candidate: Candidate, chosen: Candidate | undefined): string {
  const { provider, fingerprint } = candidate;
  if (wanted !== "auto") return `not named by providers.default (${wallOf(provider)})`;
  if (provider.capabilities.isolation === "none") return "no wall, never chosen unless it is named";
  if (!fingerprint.healthy) return `not healthy: ${fingerprint.missing.join("; ") || "its check failed"}`;
  const name = chosen?.provider.name ?? "";
  if (chosen !== undefined && rank(chosen) > rank(candidate)) return `weaker than ${name} (${wallOf(provider)})`;
  return `as strong as ${name} (${wallOf(provider)}), which comes first`;
}
