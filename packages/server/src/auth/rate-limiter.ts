import type { Clock } from "../lib/clock.ts";

export interface Rate {
  readonly requestsPerMinute: number;
  /** Requests that may come at once. */
  readonly burst: number;
}

export interface RateLimiterOptions extends Rate {
  /** A caller that is idle for so long is forgotten, milliseconds. */
  readonly idleMs: number;
  /** How often that is looked for, milliseconds. */
  readonly cleanupIntervalMs: number;
  readonly clock: Clock;
}

export interface RateVerdict {
  readonly limit: number;
  /** Requests that may come now. */
  readonly remaining: number;
  /** 0: let through; else when to try again, milliseconds. */
  readonly retryAfterMs: number;
}

/** Most callers that are remembered; the one that came first is forgotten for the next. */
const callersMax = 100_000;

/**
 * A bucket of tokens for each caller: full at first, a token for each request, filled evenly. Kept as the one time at
 * which the bucket is full again. Own code, as the counters of the libraries are windows, and clients know a bucket.
 */
export class RateLimiter {
  readonly #fullAtMs = new Map<string, number>();
  readonly #options: RateLimiterOptions;
  #rate: Rate;
  #everyMs: number;
  #cleanedAtMs: number;
  #allowed = 0;
  #refused = 0;
  #forgotten = 0;

  constructor(options: RateLimiterOptions) {
    this.#options = options;
    this.#rate = options;
    this.#everyMs = 60_000 / options.requestsPerMinute;
    this.#cleanedAtMs = options.clock.now();
  }

  /** Another rate from now on; what callers have used stays used, as far as the new bucket can be empty. */
  configure(rate: Rate): void {
    this.#rate = rate;
    this.#everyMs = 60_000 / rate.requestsPerMinute;
    const emptyMs = this.#options.clock.now() + rate.burst * this.#everyMs;
    for (const [caller, fullAtMs] of this.#fullAtMs) if (fullAtMs > emptyMs) this.#fullAtMs.set(caller, emptyMs);
  }

  get counters() {
    return {
      callers: this.#fullAtMs.size,
      allowed: this.#allowed,
      refused: this.#refused,
      forgotten: this.#forgotten,
    };
  }

  take(caller: string): RateVerdict {
    const { burst: limit } = this.#rate;
    const nowMs = this.#options.clock.now();
    this.#forgetIdle(nowMs);
    const fullAtMs = Math.max(this.#fullAtMs.get(caller) ?? nowMs, nowMs);
    const missing = (fullAtMs - nowMs) / this.#everyMs;
    const tokens = limit - missing;
    if (tokens < 1 - 1e-9) {
      this.#refused += 1;
      return { limit, remaining: 0, retryAfterMs: Math.ceil((1 - tokens) * this.#everyMs) };
    }
    // Written anew, so that the map's order is that of the last requests.
    this.#fullAtMs.delete(caller);
    this.#fullAtMs.set(caller, fullAtMs + this.#everyMs);
    if (this.#fullAtMs.size > callersMax) this.#forget(this.#fullAtMs.keys().next().value);
    this.#allowed += 1;
    return { limit, remaining: Math.max(0, Math.floor(tokens - 1 + 1e-9)), retryAfterMs: 0 };
  }

  #forget(caller: string | undefined): void {
    if (caller === undefined || !this.#fullAtMs.delete(caller)) return;
    this.#forgotten += 1;
  }

  #forgetIdle(nowMs: number): void {
    const { idleMs, cleanupIntervalMs } = this.#options;
    if (nowMs - this.#cleanedAtMs < cleanupIntervalMs) return;
    this.#cleanedAtMs = nowMs;
    for (const [caller, fullAtMs] of this.#fullAtMs) {
      if (nowMs - fullAtMs >= idleMs) this.#forget(caller);
    }
  }
}
