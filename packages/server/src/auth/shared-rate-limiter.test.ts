import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type Clock, systemClock } from "../lib/clock.ts";
import { createStore } from "../store/create-store.ts";
import { openDatabase } from "../store/open-database.ts";
import { type PostgresServer, startPostgres, whyNoPostgres } from "../store/postgres-fixture.ts";
import { RateLimiter } from "./rate-limiter.ts";
import { SharedRateLimiter } from "./shared-rate-limiter.ts";

const missing = await whyNoPostgres();
if (missing !== undefined) console.warn(`SKIPPED: rates shared through PostgreSQL: ${missing}`);

describe.skipIf(missing !== undefined)("rates in a real database", () => {
  let postgres: PostgresServer;
  beforeAll(async () => {
    postgres = await startPostgres();
  }, 60_000);
  afterAll(async () => {
    await postgres?.[Symbol.asyncDispose]();
  });

  const location = async (server = postgres) => ({ driver: "postgres", dsn: await server.freshDatabase() }) as const;
  type Location = Awaited<ReturnType<typeof location>>;

  /** A server's limiter on a connection of its own. */
  const limiterOn = async (
    database: Location,
    requestsPerMinute: number,
    burst: number,
    clock: Clock = systemClock,
  ) => {
    const store = await createStore({ database, nowMs: 1 });
    onTestFinished(() => store[Symbol.asyncDispose]());
    const rate = { requestsPerMinute, burst };
    const own = new RateLimiter({ ...rate, idleMs: 900_000, cleanupIntervalMs: 60_000, clock });
    const told: unknown[] = [];
    if (store.rateBuckets === undefined) throw new Error("PostgreSQL shares rates");
    const buckets = store.rateBuckets;
    const limiter = new SharedRateLimiter({ rate, buckets, own, clock, onFailure: (error) => told.push(error) });
    return { limiter, told, buckets };
  };
  const through = (verdicts: readonly { readonly retryAfterMs: number }[]): number =>
    verdicts.filter(({ retryAfterMs }) => retryAfterMs === 0).length;

  test("a burst goes through on two servers together, the next waits for its token on both", async () => {
    const database = await location();
    const [a, b] = [await limiterOn(database, 1, 3), await limiterOn(database, 1, 3)];
    expect(await a.limiter.take("x")).toEqual({ limit: 3, remaining: 2, retryAfterMs: 0 });
    expect(await b.limiter.take("x")).toEqual({ limit: 3, remaining: 1, retryAfterMs: 0 });
    expect(await a.limiter.take("x")).toEqual({ limit: 3, remaining: 0, retryAfterMs: 0 });
    for (const { limiter } of [a, b]) {
      const { remaining, retryAfterMs } = await limiter.take("x");
      expect(remaining).toBe(0);
      expect(retryAfterMs).toBeGreaterThan(50_000);
      expect(retryAfterMs).toBeLessThanOrEqual(60_000);
    }
    expect(await b.limiter.take("y")).toMatchObject({ remaining: 2 });
    expect([a.limiter.counters, b.limiter.counters]).toMatchObject([
      { allowed: 2, refused: 1 },
      { allowed: 2, refused: 1 },
    ]);
    expect([a.told, b.told]).toEqual([[], []]);
  });

  test("however many ask at once, no more come through than the rate and the burst allow", async () => {
    const database = await location();
    const [a, b] = [await limiterOn(database, 600, 20), await limiterOn(database, 600, 20)];
    const startedAt = performance.now();
    let passed = 0;
    while (performance.now() - startedAt < 1_000) {
      const round = Array.from({ length: 10 }, (_, at) => (at % 2 === 0 ? a : b).limiter.take("x"));
      passed += through(await Promise.all(round));
    }
    const elapsedMs = performance.now() - startedAt;
    expect(passed).toBeLessThanOrEqual(20 + Math.ceil(elapsedMs / 100));
    expect(passed).toBeGreaterThanOrEqual(20 + Math.floor(elapsedMs / 100) - 2);
  });

  test("who is refused isn't asked about again before the next token", async () => {
    const { limiter, buckets } = await limiterOn(await location(), 60, 1);
    let asked = 0;
    const take = buckets.take;
    Object.assign(buckets, {
      take: (...args: Parameters<typeof take>) => {
        asked += 1;
        return take(...args);
      },
    });
    for (let at = 0; at < 50; at += 1) await limiter.take("x");
    expect(asked).toBe(2);
    await expect.poll(async () => (await limiter.take("x")).retryAfterMs, { timeout: 5_000 }).toBe(0);
  });

  test("the database's clock counts, whatever a server thinks", async () => {
    const database = await location();
    const here = await limiterOn(database, 1, 2);
    const late = await limiterOn(database, 1, 2, { ...systemClock, now: () => Date.now() + 3_600_000 });
    await here.limiter.take("x");
    await here.limiter.take("x");
    expect((await late.limiter.take("x")).retryAfterMs).toBeGreaterThan(50_000);
  });

  test("another rate counts at once, and nobody waits for what the old one would have taken", async () => {
    const { limiter } = await limiterOn(await location(), 1, 3);
    for (let at = 0; at < 4; at += 1) await limiter.take("x");
    limiter.configure({ requestsPerMinute: 600, burst: 2 });
    const { limit, retryAfterMs } = await limiter.take("x");
    expect(limit).toBe(2);
    expect(retryAfterMs).toBeLessThanOrEqual(100);
    await expect.poll(async () => (await limiter.take("x")).retryAfterMs, { timeout: 5_000 }).toBe(0);
  });

  test("callers are not named in the database, full buckets go, and its log stays as it is", async () => {
    const database = await location();
    const { limiter, buckets } = await limiterOn(database, 6_000, 2);
    const { queries } = openDatabase(database);
    onTestFinished(() => queries.destroy());
    await limiter.take("key:hunter2 of alice");
    const { rows } = await sql<{ caller: string }>`select caller from rate_buckets`.execute(queries);
    expect(rows).toHaveLength(1);
    expect(rows[0]?.caller).toMatch(/^[\w-]{43}$/);
    const kinds = await sql`select relpersistence as kind from pg_class where relname = 'rate_buckets'`.execute(
      queries,
    );
    expect(kinds.rows).toEqual([{ kind: "u" }]);
    await expect.poll(() => buckets.prune()).toBe(1);
  });

  test("while the database is slow each server counts by itself, says so once, and shares again afterwards", async () => {
    const database = await location();
    const { limiter, told } = await limiterOn(database, 1, 3);
    const { queries } = openDatabase(database);
    onTestFinished(() => queries.destroy());
    expect(await limiter.take("x")).toMatchObject({ remaining: 2 });
    await queries.transaction().execute(async (transaction) => {
      await sql`lock table rate_buckets in access exclusive mode`.execute(transaction);
      const startedAt = performance.now();
      const verdicts = [];
      for (let at = 0; at < 50; at += 1) verdicts.push(await limiter.take("x"));
      // What it counted before the lock counts on.
      expect(through(verdicts)).toBe(2);
      expect(performance.now() - startedAt).toBeLessThan(2_000);
    });
    expect(told).toEqual([expect.objectContaining({ message: "the database decides too slowly" })]);
    const shared = async (): Promise<number> => {
      await limiter.take(`y${performance.now()}`);
      return await counted(database);
    };
    await expect.poll(shared, { timeout: 10_000 }).toBeGreaterThan(1);
    // Shared again, and not by one probe at a time.
    const other = await limiterOn(database, 1, 3);
    expect(through(await Promise.all([1, 2, 3].map(() => limiter.take("z"))))).toBe(3);
    expect((await other.limiter.take("z")).retryAfterMs).toBeGreaterThan(0);
    expect(told).toHaveLength(1);
  });

  const counted = async (database: Location): Promise<number> => {
    const { queries } = openDatabase(database);
    const { rows } = await sql<{ n: number }>`select count(*)::int as n from rate_buckets`.execute(queries);
    await queries.destroy();
    return rows[0]?.n ?? 0;
  };

  test("a database that goes away opens nothing and takes nobody down", async () => {
    await using own = await startPostgres();
    const { limiter, told } = await limiterOn(await location(own), 1, 3);
    await limiter.take("known");
    await own.kill();
    // All of them ask before the first has failed.
    const callers = ["known", "fresh"].map((caller) => Array.from({ length: 20 }, () => limiter.take(caller)));
    const [known = [], fresh = []] = await Promise.all(callers.map((verdicts) => Promise.all(verdicts)));
    expect([through(known), through(fresh)]).toEqual([2, 3]);
    expect(through([await limiter.take("known"), await limiter.take("fresh")])).toBe(0);
    expect(told).toHaveLength(1);
  }, 60_000);
});
