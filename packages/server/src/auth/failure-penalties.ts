import type { Clock } from "../lib/clock.ts";

interface Failures {
  readonly count: number;
  readonly lastAtMs: number;
}

/** Failures of an address that cost nothing. */
const freeFailures = 20;
const penaltyMs = { first: 1_000, most: 900_000 };
/** An address without a failure for so long starts anew, milliseconds. */
export const forgetAfterMs = 900_000;
/** Most addresses that are remembered; the one that failed longest ago is forgotten for the next. */
const addressesMax = 10_000;

/** How long an address that sends credentials which don't count has to wait: twice as long each time. */
export class FailurePenalties {
  readonly #failures = new Map<string, Failures>();
  readonly #clock: Clock;

  /** Told of each failure. */
  onNoted: ((address: string) => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Counts a failure. 0: it may try again at once; else when to try again, milliseconds. */
  note(address: string): number {
    const nowMs = this.#clock.now();
    const last = this.#failures.get(address);
    const count = last !== undefined && nowMs - last.lastAtMs < forgetAfterMs ? last.count + 1 : 1;
    this.#keep(address, { count, lastAtMs: nowMs });
    this.onNoted?.(address);
    if (count <= freeFailures) return 0;
    return Math.min(penaltyMs.first * 2 ** Math.min(count - freeFailures - 1, 30), penaltyMs.most);
  }

  /** Of an address that failed here too, and how often on all servers together. */
  learn(address: string, count: number): void {
    const own = this.#failures.get(address);
    this.#keep(address, { count: Math.max(count, own?.count ?? 0), lastAtMs: own?.lastAtMs ?? this.#clock.now() });
  }

  #keep(address: string, failures: Failures): void {
    this.#failures.delete(address);
    this.#failures.set(address, failures);
    if (this.#failures.size > addressesMax) this.#failures.delete(this.#failures.keys().next().value ?? "");
  }
}
