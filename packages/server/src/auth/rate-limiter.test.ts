import fc from "fast-check";
import { expect, test } from "vitest";
import { FailurePenalties } from "./failure-penalties.ts";
import { RateLimiter } from "./rate-limiter.ts";

const limiterAt = (requestsPerMinute: number, burst: number) => {
  let nowMs = 1_000_000;
  const limiter = new RateLimiter({
    requestsPerMinute,
    burst,
    idleMs: 900_000,
    cleanupIntervalMs: 60_000,
    clock: { now: () => nowMs },
  });
  return {
    limiter,
    pass: (ms: number) => {
      nowMs += ms;
    },
  };
};

test("a burst goes through, the next waits its second, and each caller has a bucket of its own", () => {
  const { limiter, pass } = limiterAt(60, 2);
  expect(limiter.take("a")).toEqual({ limit: 2, remaining: 1, retryAfterMs: 0 });
  expect(limiter.take("a")).toEqual({ limit: 2, remaining: 0, retryAfterMs: 0 });
  expect(limiter.take("a")).toEqual({ limit: 2, remaining: 0, retryAfterMs: 1_000 });
  expect(limiter.take("b").retryAfterMs).toBe(0);
  pass(999);
  expect(limiter.take("a").retryAfterMs).toBe(1);
  pass(1);
  expect(limiter.take("a").retryAfterMs).toBe(0);
  expect(limiter.counters).toEqual({ callers: 2, allowed: 4, refused: 2, forgotten: 0 });
});

test("who was idle for long has saved up no more than a burst", () => {
  const { limiter, pass } = limiterAt(60, 2);
  limiter.take("a");
  pass(30_000);
  expect([1, 2, 3].map(() => limiter.take("a").retryAfterMs)).toEqual([0, 0, 1_000]);
});

test("whatever the arrivals, no more come through than the rate and the burst allow, and no refusal is longer than needed", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 600 }),
      fc.integer({ min: 1, max: 20 }),
      fc.array(fc.integer({ min: 0, max: 5_000 }), { maxLength: 200 }),
      (perMinute, burst, pauses) => {
        const { limiter, pass } = limiterAt(perMinute, burst);
        let [elapsed, through] = [0, 0];
        for (const pause of pauses) {
          pass(pause);
          elapsed += pause;
          const { retryAfterMs } = limiter.take("a");
          if (retryAfterMs === 0) through += 1;
          else expect(retryAfterMs).toBeLessThanOrEqual(Math.ceil(60_000 / perMinute));
          expect(through).toBeLessThanOrEqual(burst + (elapsed * perMinute) / 60_000 + 1e-6);
        }
      },
    ),
  );
});

test("another rate counts at once, and nobody waits for what the old one would have taken", () => {
  const { limiter, pass } = limiterAt(1, 3);
  for (let i = 0; i < 4; i += 1) limiter.take("a");
  limiter.configure({ requestsPerMinute: 600, burst: 2 });
  expect(limiter.take("a")).toEqual({ limit: 2, remaining: 0, retryAfterMs: 100 });
  pass(100);
  expect(limiter.take("a").retryAfterMs).toBe(0);
  pass(10_000);
  expect(limiter.take("a")).toMatchObject({ limit: 2, remaining: 1 });
  limiter.configure({ requestsPerMinute: 60, burst: 1 });
  expect(limiter.take("a").retryAfterMs).toBeLessThanOrEqual(1_000);
});

test("idle callers are forgotten, and beyond 100,000 the one that came first", () => {
  const { limiter, pass } = limiterAt(60, 2);
  limiter.take("idle");
  pass(902_000);
  limiter.take("next");
  expect(limiter.counters).toMatchObject({ callers: 1, forgotten: 1 });
  for (let i = 0; i < 100_000; i += 1) limiter.take(`caller-${i}`);
  expect(limiter.counters).toMatchObject({ callers: 100_000, forgotten: 2 });
});

test("failures cost nothing at first, then twice as long each time, up to a quarter of an hour", () => {
  let nowMs = 0;
  const penalties = new FailurePenalties({ now: () => nowMs });
  const waits = Array.from({ length: 40 }, () => penalties.note("a"));
  expect(waits.slice(0, 20)).toEqual(Array.from({ length: 20 }, () => 0));
  expect(waits.slice(20, 24)).toEqual([1_000, 2_000, 4_000, 8_000]);
  expect(waits.at(-1)).toBe(900_000);
  expect(penalties.note("b")).toBe(0);
  nowMs += 900_000;
  expect(penalties.note("a")).toBe(0);
});

test("beyond 10,000 addresses the one that failed longest ago starts anew", () => {
  const penalties = new FailurePenalties({ now: () => 0 });
  for (let i = 0; i < 21; i += 1) penalties.note("first");
  for (let i = 0; i < 10_000; i += 1) penalties.note(`address-${i}`);
  expect(penalties.note("first")).toBe(0);
});
