import { createHash } from "node:crypto";
import type { Clock } from "../lib/clock.ts";
import type { RateBucketStore } from "../store/store.ts";
import type { Rate, RateLimiter, RateVerdict } from "./rate-limiter.ts";

export interface SharedRateLimiterOptions {
  readonly rate: Rate;
  readonly buckets: RateBucketStore;
  /** Counts the same requests, and decides while the database doesn't. */
  readonly own: RateLimiter;
  readonly clock: Clock;
  /** The database didn't decide; told once for as long as it doesn't. */
  readonly onFailure: (error: unknown) => void;
}

/** How long the database may take for one decision, milliseconds. */
const decisionTimeoutMs = 500;
/** The database isn't asked for so long after it didn't decide, milliseconds. */
const retryAfterFailureMs = 2_000;
/** Most callers whose refusal is remembered; the one that came first is forgotten for the next. */
const refusedMax = 10_000;

/**
 * One bucket for each caller, shared by all servers of a database. Who is refused isn't asked about again until its next
 * token. A database that is slow or gone holds up nobody and opens nothing: each server then counts by itself.
 */
export class SharedRateLimiter {
  readonly #options: SharedRateLimiterOptions;
  /** When the next token is there, by caller. */
  readonly #refusedUntilMs = new Map<string, number>();
  #rate: Rate;
  #askAgainAtMs = 0;
  #failing = false;
  #probing = false;
  #allowed = 0;
  #refused = 0;

  constructor(options: SharedRateLimiterOptions) {
    this.#options = options;
    this.#rate = options.rate;
  }

  get counters() {
    const { callers, forgotten } = this.#options.own.counters;
    return { callers, allowed: this.#allowed, refused: this.#refused, forgotten };
  }

  configure(rate: Rate): void {
    this.#rate = rate;
    this.#options.own.configure(rate);
    this.#refusedUntilMs.clear();
  }

  take(caller: string): RateVerdict | Promise<RateVerdict> {
    const nowMs = this.#options.clock.now();
    const untilMs = this.#refusedUntilMs.get(caller) ?? 0;
    if (untilMs > nowMs) return this.#counted({ limit: this.#rate.burst, remaining: 0, retryAfterMs: untilMs - nowMs });
    const own = this.#options.own.take(caller);
    // One request at a time finds out whether the database is back.
    if (this.#failing && (nowMs < this.#askAgainAtMs || this.#probing)) return this.#counted(own);
    return this.#ask(caller, own);
  }

  async #ask(caller: string, own: RateVerdict): Promise<RateVerdict> {
    const { clock, onFailure } = this.#options;
    this.#probing = this.#failing;
    try {
      const verdict = await this.#decision(caller);
      this.#failing = false;
      if (verdict.retryAfterMs > 0) this.#remember(caller, clock.now() + verdict.retryAfterMs);
      return this.#counted(verdict);
    } catch (error) {
      this.#askAgainAtMs = clock.now() + retryAfterFailureMs;
      if (!this.#failing) onFailure(error);
      this.#failing = true;
      return this.#counted(own);
    } finally {
      this.#probing = false;
    }
  }

  /** Names nobody to the database. */
  async #decision(caller: string): Promise<RateVerdict> {
    const { requestsPerMinute, burst } = this.#rate;
    const everyMs = 60_000 / requestsPerMinute;
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(new Error("the database decides too slowly")), decisionTimeoutMs);
    try {
      const digest = createHash("sha256").update(caller).digest("base64url");
      const taken = this.#options.buckets.take(digest, { everyMs, burst });
      const { allowed, tokens } = await Promise.race([taken, late.promise]);
      if (allowed) return { limit: burst, remaining: Math.max(0, Math.floor(tokens + 1e-6)), retryAfterMs: 0 };
      return { limit: burst, remaining: 0, retryAfterMs: Math.max(1, Math.ceil((1 - tokens) * everyMs)) };
    } finally {
      clearTimeout(timer);
    }
  }

  #remember(caller: string, untilMs: number): void {
    this.#refusedUntilMs.delete(caller);
    this.#refusedUntilMs.set(caller, untilMs);
    if (this.#refusedUntilMs.size <= refusedMax) return;
    const [first] = this.#refusedUntilMs.keys();
    if (first !== undefined) this.#refusedUntilMs.delete(first);
  }

  #counted(verdict: RateVerdict): RateVerdict {
    if (verdict.retryAfterMs > 0) this.#refused += 1;
    else this.#allowed += 1;
    return verdict;
  }
}
