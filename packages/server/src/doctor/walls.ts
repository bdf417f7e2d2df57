import type { ProviderHealth, ProviderReport } from "@stacyvm/contract";
import { remarkOf } from "../lib/remark.ts";
import { type Candidate, chooseDefault, wallOf } from "../providers/choice.ts";
import { type Finding, findingsOf } from "./finding.ts";

/** A server's answers, as far as it gave any. */
export interface ServerView {
  readonly url: string;
  /** Undefined where it didn't answer, or not to this caller. An older server tells their health alone. */
  readonly providers: readonly (ProviderHealth & Partial<ProviderReport>)[] | undefined;
  /** Why not; empty where nothing answers at the address. */
  readonly problem: string;
}

/**
 * How each provider would be if a server started now, and which one a sandbox would get that names none.
 * @param known every provider there is, enabled or not
 */
export function wallFindings(
  wanted: string,
  candidates: readonly Candidate[],
  known: readonly string[],
): readonly Finding[] {
  const { ok, warn, fail } = findingsOf("providers");
  const choice = chooseDefault(wanted, candidates);
  const told = candidates.flatMap(({ provider, fingerprint }): readonly Finding[] => {
    const { name } = provider;
    const verdict = choice.verdicts.find((each) => each.name === name);
    if (fingerprint.healthy) return [ok(name, `${name}: ${verdict?.reason ?? wallOf(provider)}`)];
    const needed = choice.name === "" || verdict?.chosen === true;
    const make = needed && provider.capabilities.isolation !== "none" ? fail : warn;
    const missing = fingerprint.missing.length === 0 ? ["its check failed"] : fingerprint.missing;
    return missing.map((text, at) => {
      const { what, remedy } = remarkOf(text);
      return make(at === 0 ? name : `${name}-${at + 1}`, `${name}: ${what}`, remedy);
    });
  });
  const none = fail("default", noDefault(wanted), "enable one that is healthy, or mend what is missing above");
  const disabled = known.filter((name) => !candidates.some(({ provider }) => provider.name === name));
  const others = ok("disabled", `not enabled, so not asked: ${disabled.join(", ")} (providers.<name>.enabled)`);
  return [...told, ...(choice.name === "" ? [none] : []), ...(disabled.length === 0 ? [] : [others])];
}

const noDefault = (wanted: string): string =>
  wanted === "auto"
    ? "no wall is healthy, so no provider can be the default"
    : `providers.default names ${wanted}, which isn't enabled`;

/** The view of a running server. */
export function serverFindings({ url, providers, problem }: ServerView): readonly Finding[] {
  const { ok, warn, fail, unknown } = findingsOf("server");
  if (providers === undefined) {
    return problem === ""
      ? [unknown("reachable", `no server answers at ${url}; all of this is about this machine alone`)]
      : [
          unknown(
            "reachable",
            `the server at ${url} tells nothing: ${problem}`,
            "give its key: --api-key <key>, or $STACYVM_API_KEY",
          ),
        ];
  }
  const bad = providers.some(({ healthy, isolation }) => healthy && isolation !== "none") ? warn : fail;
  return [
    ok("reachable", `a server answers at ${url}`),
    ...providers.flatMap((each): readonly Finding[] => {
      const about = `${each.name} there: ${each.default_reason ?? (each.default ? "the default" : "not the default")}`;
      return [
        each.healthy
          ? ok(each.name, about)
          : bad(each.name, `${each.name} there isn't healthy: ${each.error ?? ""}`, remedies(each.missing)),
        ...(each.warnings ?? []).map(({ what, remedy }, at) =>
          warn(`${each.name}-warning-${at + 1}`, `${each.name} there: ${what}`, remedy),
        ),
      ];
    }),
  ];
}

const remedies = (missing: ProviderReport["missing"] = []): string | undefined =>
  missing.flatMap(({ remedy }) => remedy ?? []).join("; ") || undefined;
