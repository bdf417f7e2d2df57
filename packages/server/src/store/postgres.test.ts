import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Secret } from "../lib/secret.ts";
import { createStore } from "./create-store.ts";
import { openDatabase } from "./open-database.ts";
import { startPostgres, whyNoPostgres } from "./postgres-fixture.ts";
import { sandboxRecord } from "./sandbox-record.testing.ts";
import { storeContract } from "./store-contract.ts";

const missing = await whyNoPostgres();
if (missing !== undefined) console.warn(`SKIPPED: the store on PostgreSQL: ${missing}`);

describe.skipIf(missing !== undefined)("with a real server", () => {
  let server: Awaited<ReturnType<typeof startPostgres>>;
  beforeAll(async () => {
    server = await startPostgres();
  }, 60_000);
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
  });
  const fresh = async () => ({ driver: "postgres", dsn: await server.freshDatabase() }) as const;

  storeContract("postgres", fresh);

  test("text is ordered by bytes whatever the database's own order is", async () => {
    const database = await fresh();
    await using store = await createStore({ database, nowMs: 1 });
    for (const ownerId of ["b", "B", "\u00e9", "_", "a"]) {
      await store.quotas.save({
        tenantId: "",
        ownerId,
        maxSandboxes: 1,
        maxTtlMs: 0,
        maxExecTimeoutMs: 0,
        updatedAtMs: 1,
      });
    }
    expect((await store.quotas.list()).map((quota) => quota.ownerId)).toEqual(["B", "_", "a", "b", "\u00e9"]);
  });

  test("a server that goes away is store_unavailable, and takes nothing else down", async () => {
    await using own = await startPostgres();
    await using store = await createStore({
      database: { driver: "postgres", dsn: await own.freshDatabase() },
      nowMs: 1,
    });
    await store.sandboxes.insert(sandboxRecord());
    await own.kill();
    for (const call of [() => store.ping(), () => store.sandboxes.list({}), () => store.audit.list(1)]) {
      const failure = await call().catch((error: unknown) => error);
      expect(failure).toMatchObject({ reason: "store_unavailable", message: "the database does not answer" });
    }
  }, 60_000);

  test("a database that is not there is store_unavailable, and the connection string is in no message", async () => {
    const dsn = new Secret(`${(await server.freshDatabase()).reveal()}&password=hunter2`.replace("///t", "///gone"));
    const failure = await createStore({ database: { driver: "postgres", dsn }, nowMs: 1 }).catch((error) => error);
    expect(failure).toMatchObject({ reason: "store_unavailable", message: "the database does not answer" });
    expect(`${failure.message} ${failure.cause}`).not.toContain("hunter2");
  });

  test("an advisory lock holds until the transaction ends, and one name does not block another", async () => {
    const database = openDatabase(await fresh());
    const order: string[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    const first = database.queries.transaction().execute(async (transaction) => {
      await database.lockInTransaction(transaction, "a");
      resolve();
      await database.queries.transaction().execute((other) => database.lockInTransaction(other, "b"));
      order.push("first");
    });
    await promise;
    await database.queries.transaction().execute((transaction) => database.lockInTransaction(transaction, "a"));
    order.push("second");
    await first;
    expect(order).toEqual(["first", "second"]);
    await database.queries.destroy();
  });
});
