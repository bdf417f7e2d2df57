import { expect, test } from "vitest";
import { startPostgres, whyNoPostgres } from "../../packages/server/src/store/postgres-fixture.ts";
import { startServer, type TestServer } from "../e2e/server.ts";

const apiKey = "k".repeat(40);

test.skipIf((await whyNoPostgres()) !== undefined)(
  "servers of one PostgreSQL count together what an address fails with, and a right key is not held up",
  async () => {
    await using postgres = await startPostgres();
    const config = {
      "providers.mock.enabled": "true",
      "providers.default": "mock",
      "auth.api_key": apiKey,
      "database.driver": "postgres",
      "database.dsn": (await postgres.freshDatabase()).reveal(),
    };
    await using first = await startServer({ config });
    await using second = await startServer({ config });
    const ask = async (server: TestServer, key: string): Promise<number> => {
      const answer = await fetch(`${server.url}/api/v1/sandboxes`, { headers: { "X-API-Key": key } });
      await answer.arrayBuffer();
      return answer.status;
    };
    for (let at = 0; at < 20; at += 1) expect(await ask(first, "wrong")).toBe(401);
    // Alone the second lets twenty pass; with its own it hears of the first one's.
    let own = 0;
    const asked = async (): Promise<number> => {
      own += 1;
      return await ask(second, "wrong");
    };
    await expect.poll(asked, { interval: 800, timeout: 20_000 }).toBe(429);
    expect(own).toBeLessThan(15);
    expect(await ask(second, apiKey)).toBe(200);
  },
);
