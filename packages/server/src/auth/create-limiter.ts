import type { FastifyBaseLogger } from "fastify";
import type { Config } from "../config/schema.ts";
import type { Clock } from "../lib/clock.ts";
import { every } from "../lib/every.ts";
import type { RateBucketStore } from "../store/store.ts";
import { type Rate, RateLimiter } from "./rate-limiter.ts";
import { SharedRateLimiter } from "./shared-rate-limiter.ts";

type RateLimitConfig = Config["rateLimit"];

/** Full buckets are deleted at most this often, milliseconds. */
const pruneIntervalMinMs = 1_000;

/** A burst of 0 is as many as a minute has. */
export const rateOf = ({ requestsPerMinute, burst }: RateLimitConfig): Rate => ({
  requestsPerMinute,
  burst: burst || requestsPerMinute,
});

/** A rate of 0 is none. */
export const isLimited = (config: RateLimitConfig): boolean => config.enabled && config.requestsPerMinute > 0;

export interface LimiterOptions {
  /** Undefined: this server's memory alone. */
  readonly shared: RateBucketStore | undefined;
  readonly clock: Clock;
  readonly log: Pick<FastifyBaseLogger, "warn" | "error">;
}

/** The limiter that the configuration asks for, and what has to run beside it. */
export const createLimiter = (config: RateLimitConfig, { shared, clock, log }: LimiterOptions) => {
  const { bucketTtlMs: idleMs, cleanupIntervalMs } = config;
  const rate = rateOf(config);
  const own = new RateLimiter({ ...rate, idleMs, cleanupIntervalMs, clock });
  if (shared === undefined) return { limiter: own, pruning: undefined };
  const onFailure = (error: unknown): void =>
    log.warn({ err: error }, "the database doesn't count requests, this server counts its own");
  const pruning = every({
    intervalMs: Math.max(cleanupIntervalMs, pruneIntervalMinMs),
    work: () => shared.prune(),
    onFailure: (error) => log.error({ err: error }, "callers' rates could not be pruned"),
  });
  return { limiter: new SharedRateLimiter({ rate, buckets: shared, own, clock, onFailure }), pruning };
};
