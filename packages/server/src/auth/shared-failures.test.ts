import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createStore } from "../store/create-store.ts";
import { type PostgresServer, startPostgres, whyNoPostgres } from "../store/postgres-fixture.ts";
import type { FailureCountStore, Store } from "../store/store.ts";

describe.skipIf((await whyNoPostgres()) !== undefined)("failures counted by PostgreSQL", () => {
  let postgres: PostgresServer;
  let store: Store;
  let counts: FailureCountStore;
  beforeAll(async () => {
    postgres = await startPostgres();
    store = await createStore({ database: { driver: "postgres", dsn: await postgres.freshDatabase() }, nowMs: 0 });
    if (store.failureCounts === undefined) throw new Error("there are none");
    counts = store.failureCounts;
  });
  afterAll(async () => {
    await store?.[Symbol.asyncDispose]();
    await postgres?.[Symbol.asyncDispose]();
  });

  test("are added together, whoever adds them, and begin anew once they are forgotten", async () => {
    const addMany = (...names: string[]) => counts.add(new Map(names.map((name) => [name, 2])), 60_000);
    await Promise.all(Array.from({ length: 20 }, (_, at) => (at % 2 ? addMany("a", "b") : addMany("b", "a"))));
    expect(await counts.add(new Map([["a", 1]]), 60_000)).toEqual(new Map([["a", 41]]));
    expect(await counts.add(new Map([["a", 1]]), 0)).toEqual(new Map([["a", 1]]));
    expect(await counts.add(new Map(), 60_000)).toEqual(new Map());
    expect(await counts.prune(60_000)).toBe(0);
    expect(await counts.prune(-1)).toBe(2);
  });
});
