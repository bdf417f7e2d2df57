import { retryAfterMs } from "./errors.ts";

/** When and how often a call that may be repeated is repeated. Time and chance can be replaced. */
export interface RetryOptions {
  /** Tries in all, the first one counted. Default 3; 1 turns retries off. */
  attempts?: number | undefined;
  /** The first wait before jitter, milliseconds; it doubles each time. Default 200. */
  baseDelayMs?: number | undefined;
  /** The longest wait, milliseconds. A Retry-After above it is not waited for. Default 10 000. */
  maxDelayMs?: number | undefined;
  /** Resolves after that many milliseconds; rejects with the signal's reason. */
  sleep?: ((ms: number, signal: AbortSignal) => Promise<void>) | undefined;
  /** From 0 up to 1. */
  random?: (() => number) | undefined;
  /** Milliseconds since 1970. */
  now?: (() => number) | undefined;
}

export interface RetryPolicy {
  readonly attempts: number;
  /** The wait before the next try, milliseconds; undefined to give up. `attempt` counts from 1. */
  delayMs(attempt: number, response: Response | undefined): number | undefined;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** Answers that say: not now. */
const passing: readonly number[] = [429, 502, 503, 504];

const wait = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal.addEventListener("abort", stop, { once: true });
  });

/** Doubling waits with full jitter, or what Retry-After asks plus a little jitter; bounded in number and length. */
export function retryPolicy(options: RetryOptions | false | undefined): RetryPolicy {
  const chosen = options === false ? { attempts: 1 } : (options ?? {});
  const attempts = chosen.attempts ?? 3;
  const baseDelayMs = chosen.baseDelayMs ?? 200;
  const maxDelayMs = chosen.maxDelayMs ?? 10_000;
  const random = chosen.random ?? Math.random;
  const now = chosen.now ?? Date.now;
  return {
    attempts,
    sleep: chosen.sleep ?? wait,
    delayMs(attempt, response) {
      if (attempt >= attempts) return undefined;
      if (response !== undefined && !passing.includes(response.status)) return undefined;
      const asked = response === undefined ? undefined : retryAfterMs(response.headers.get("retry-after"), now());
      if (asked !== undefined) return asked > maxDelayMs ? undefined : asked + random() * baseDelayMs;
      return random() * Math.min(maxDelayMs, baseDelayMs * 2 ** (attempt - 1));
    },
  };
}
