import type { Clock } from "../lib/clock.ts";
import { KeyMutex } from "../lib/key-mutex.ts";
import type { Fingerprint, Provider } from "./provider.ts";
import { strongestHealthy } from "./registry.ts";

export interface CheckedFingerprint extends Fingerprint {
  readonly checkedAtMs: number;
  /** How long the check took. */
  readonly latencyMs: number;
}

export interface DirectoryOptions {
  readonly providers: readonly Provider[];
  /** A name, or `auto`. */
  readonly wanted: string;
  readonly clock: Clock;
}

/** A fingerprint younger than this is good enough for a second caller, milliseconds. */
const freshMs = 2_000;
/** Time that one check may take, milliseconds. */
const checkTimeoutMs = 5_000;

/** The providers of this server, the default one chosen, and how each is, asked at most every two seconds. */
export async function createProviderDirectory({ providers, wanted, clock }: DirectoryOptions) {
  const byName = new Map(providers.map((provider) => [provider.name, provider]));
  const known = new Map<string, CheckedFingerprint>();
  const checking = new KeyMutex();

  /** Shared by all who ask meanwhile, so no single caller's leaving ends it. */
  const check = async (provider: Provider): Promise<CheckedFingerprint> => {
    const startedAt = performance.now();
    const fingerprint = await provider.fingerprint(AbortSignal.timeout(checkTimeoutMs)).catch(
      (error: unknown): Fingerprint => ({
        healthy: false,
        missing: [error instanceof Error ? error.message : "the check failed"],
        versions: {},
      }),
    );
    return { ...fingerprint, checkedAtMs: clock.now(), latencyMs: performance.now() - startedAt };
  };

  // Some know what they offer here only once they have looked.
  await Promise.all(providers.map(check));
  const signal = AbortSignal.timeout(checkTimeoutMs);
  const chosen = wanted === "auto" ? await strongestHealthy(providers, signal) : byName.get(wanted);
  return {
    list: () => providers,
    get: (name: string) => byName.get(name),
    /** Empty where `auto` found none that works. */
    defaultName: chosen?.name ?? "",
    /** Never throws: a check that fails is an unhealthy fingerprint. */
    fingerprint: (name: string): Promise<CheckedFingerprint> =>
      checking.run(name, async () => {
        const last = known.get(name);
        if (last !== undefined && clock.now() - last.checkedAtMs < freshMs) return last;
        const provider = byName.get(name);
        if (provider === undefined) throw new Error(`no provider ${name}`);
        const fresh = await check(provider);
        known.set(name, fresh);
        return fresh;
      }),
  };
}
