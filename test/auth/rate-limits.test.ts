import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type PostgresServer, startPostgres, whyNoPostgres } from "../../packages/server/src/store/postgres-fixture.ts";
import { type FaultHost, makeFaultHost, type ServerProcess } from "../faults/server-process.ts";

const apiKey = "k".repeat(40);
const missing = await whyNoPostgres();

/** Two servers, as on two machines: nothing is common to them but the database. */
describe.skipIf(missing !== undefined)("two servers on one PostgreSQL", () => {
  let postgres: PostgresServer;
  const hosts: FaultHost[] = [];
  const servers: ServerProcess[] = [];

  beforeAll(async () => {
    postgres = await startPostgres();
    const config = {
      "auth.api_key": apiKey,
      "database.driver": "postgres",
      "database.dsn": (await postgres.freshDatabase()).reveal(),
      "rate_limit.enabled": "true",
      "rate_limit.requests_per_minute": "6",
      "rate_limit.burst": "10",
    };
    for (let at = 0; at < 2; at += 1) {
      const host = await makeFaultHost(config);
      hosts.push(host);
      servers.push(await host.start());
    }
  });
  afterAll(async () => {
    for (const server of servers) server.signal("SIGTERM");
    await Promise.all(servers.map(({ ended }) => ended));
    for (const host of hosts) await host[Symbol.asyncDispose]();
    await postgres?.[Symbol.asyncDispose]();
  });

  const ask = async (server: ServerProcess | undefined, user: string, path = "/sandboxes") => {
    const headers = { "X-API-Key": apiKey, "X-User-ID": user };
    const answer = await fetch(`${server?.url}/api/v1${path}`, { headers });
    await answer.arrayBuffer();
    const number = (name: string) => Number(answer.headers.get(name));
    return {
      status: answer.status,
      limit: number("x-ratelimit-limit"),
      remaining: number("x-ratelimit-remaining"),
      retryAfterS: number("retry-after"),
    };
  };

  test("share one limit for each caller, and tell it", async () => {
    const answers = [];
    for (let at = 0; at < 12; at += 1) answers.push(await ask(servers[at % 2], "alice"));
    expect(answers.map(({ status }) => status)).toEqual([...Array.from({ length: 10 }, () => 200), 429, 429]);
    expect(answers.map(({ remaining }) => remaining)).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0]);
    for (const { limit } of answers) expect(limit).toBe(10);
    for (const { retryAfterS } of answers.slice(10)) {
      expect(retryAfterS).toBeGreaterThan(0);
      expect(retryAfterS).toBeLessThanOrEqual(10);
    }
    expect((await ask(servers[1], "bob")).remaining).toBe(9);
  });

  test("count by themselves while the database is gone: they answer, and are no more open than before", async () => {
    await postgres.kill();
    for (const server of servers) {
      const answers = [];
      for (let at = 0; at < 14; at += 1) answers.push(await ask(server, "carol", "/health"));
      expect(answers.map(({ status }) => status)).toEqual([
        ...Array.from({ length: 10 }, () => 200),
        ...Array.from({ length: 4 }, () => 429),
      ]);
      expect((await ask(server, "dave")).status).toBe(503);
      await expect.poll(server.log).toContain("the database doesn't count requests, this server counts its own");
    }
  });
});
