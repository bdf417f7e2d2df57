import type { Clock } from "../lib/clock.ts";
import { KeyMutex } from "../lib/key-mutex.ts";
import type { Remark } from "../lib/remark.ts";
import { chooseDefault } from "./choice.ts";
import type { Fingerprint, Provider } from "./provider.ts";

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
  /** What is wrong with a provider although it serves. Never throws. */
  readonly warnings?: (provider: Provider, known: Fingerprint) => Promise<readonly Remark[]>;
}

/** A fingerprint younger than this is good enough for a second caller, milliseconds. */
const freshMs = 2_000;
/** Time that one check may take, milliseconds. */
const checkTimeoutMs = 5_000;

/** The providers of this server, the default one chosen, and how each is, asked at most every two seconds. */
export async function createProviderDirectory({ providers, wanted, clock, warnings }: DirectoryOptions) {
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

  /** Never throws: a check that fails is an unhealthy fingerprint. */
  const checked = (name: string, youngerThanMs: number): Promise<CheckedFingerprint> =>
    checking.run(name, async () => {
      const last = known.get(name);
      if (last !== undefined && clock.now() - last.checkedAtMs < youngerThanMs) return last;
      const provider = byName.get(name);
      if (provider === undefined) throw new Error(`no provider ${name}`);
      const fresh = await check(provider);
      known.set(name, fresh);
      return fresh;
    });
  const fingerprint = (name: string) => checked(name, freshMs);

  const candidates = await Promise.all(
    providers.map(async (provider) => ({ provider, fingerprint: await fingerprint(provider.name) })),
  );
  const choice = chooseDefault(wanted, candidates);
  return {
    list: () => providers,
    get: (name: string) => byName.get(name),
    /** Made once, at the start. */
    choice,
    /** Empty where `auto` found none that works. */
    defaultName: choice.name,
    fingerprint,
    warnings: async (name: string): Promise<readonly Remark[]> => {
      const [provider, last] = [byName.get(name), known.get(name)];
      return provider === undefined || last === undefined ? [] : ((await warnings?.(provider, last)) ?? []);
    },
    /** Never one that was made before. */
    recheck: (name: string) => checked(name, 0),
    /** Whatever its age; undefined where none was made. */
    lastKnown: (name: string): CheckedFingerprint | undefined => known.get(name),
  };
}
