import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { type CompiledQuery, sql } from "kysely";
import { afterAll, expect, test } from "vitest";
import { createStore } from "./create-store.ts";
import { migrate } from "./migrate.ts";
import { migrations } from "./migrations/all.ts";
import { openDatabase } from "./open-database.ts";
import { sandboxRecord } from "./sandbox-record.testing.ts";
import { sandboxStore } from "./sandboxes.ts";
import { storeContract } from "./store-contract.ts";

const directory = mkdtempSync(join(tmpdir(), "stacyvm-store-"));
afterAll(() => rmSync(directory, { recursive: true }));
const fresh = () => ({ driver: "sqlite", path: join(directory, randomBytes(6).toString("hex"), "x.db") }) as const;

storeContract("sqlite", async () => fresh());

test("the database and everything beside it is readable to its owner alone", async () => {
  const database = fresh();
  await using store = await createStore({ database, nowMs: 1 });
  await store.sandboxes.insert(sandboxRecord());
  for (const suffix of ["", "-wal", "-shm", ".lock"]) {
    expect(statSync(`${database.path}${suffix}`).mode & 0o777).toBe(0o600);
  }
});

test("it runs with the write-ahead log, foreign keys and a busy timeout", async () => {
  const { queries } = openDatabase(fresh());
  for (const [name, value] of [
    ["journal_mode", "wal"],
    ["foreign_keys", 1],
    ["synchronous", 1],
    ["busy_timeout", 5_000],
  ] as const) {
    const { rows } = await sql`pragma ${sql.raw(name)}`.execute(queries);
    expect(Object.values(rows[0] ?? {})).toEqual([value]);
  }
  await queries.destroy();
});

test("every list of the hot path is one search of an index, without sorting", async () => {
  const database = fresh();
  await using _ = await createStore({ database, nowMs: 1 });
  const opened = openDatabase(database);
  const asked: CompiledQuery[] = [];
  const listening = opened.queries.withPlugin({
    transformQuery: ({ node, queryId }) => {
      asked.push(opened.queries.getExecutor().compileQuery(node, queryId));
      return node;
    },
    transformResult: async ({ result }) => result,
  });
  const sandboxes = sandboxStore({ ...opened, queries: listening });
  const page = { limit: 50, after: { value: 1, id: "x" } };
  const cases: Readonly<Record<string, () => Promise<unknown>>> = {
    idx_sandboxes_living_created: () => sandboxes.listSummaries({}, page),
    idx_sandboxes_living_owner: () => sandboxes.listSummaries({ ownerId: "x" }, page),
    idx_sandboxes_living_tenant: () => sandboxes.listSummaries({ tenantId: "x" }, page),
    idx_sandboxes_state_created: () => sandboxes.listSummaries({ states: ["running"] }, page),
    idx_sandboxes_living_name: () =>
      sandboxes.listSummaries({}, { ...page, after: { value: "n", id: "x" }, sort: { by: "name", descending: false } }),
    idx_sandboxes_living_expiry: () => sandboxes.listExpired(1, 50),
    idx_sandboxes_deadline: () => sandboxes.listOverdue(1, 50),
    idx_sandboxes_state_updated: () => sandboxes.purgeDestroyed(1, 50),
  };
  const connection = new Sqlite(database.path);
  for (const [index, ask] of Object.entries(cases)) {
    asked.length = 0;
    await ask();
    expect(asked).toHaveLength(1);
    const plan = connection
      .prepare(`explain query plan ${asked[0]?.sql}`)
      .all(...(asked[0]?.parameters ?? []))
      .map((row) => (row as { detail: string }).detail);
    expect(plan).toEqual([expect.stringMatching(new RegExp(`^SEARCH sandboxes USING (COVERING )?INDEX ${index} `))]);
  }
  connection.close();
  await opened.queries.destroy();
});

test("a database that a newer program has moved on is refused, and left as it is", async () => {
  const database = fresh();
  await (await createStore({ database, nowMs: 1 }))[Symbol.asyncDispose]();
  const connection = new Sqlite(database.path);
  connection.prepare("insert into schema_migrations values (999, 'later', 1)").run();
  await expect(createStore({ database, nowMs: 1 })).rejects.toMatchObject({
    message: `the database has schema version 999, this program knows ${migrations.length}`,
  });
  connection.close();
});

test("a migration that fails half way leaves nothing of itself", async () => {
  const database = openDatabase(fresh());
  const broken = {
    version: 1,
    name: "broken",
    up: async (transaction: Parameters<Parameters<typeof migrate>[1][number]["up"]>[0]) => {
      await sql`create table half (id integer)`.execute(transaction);
      throw new Error("stop");
    },
  };
  await expect(migrate(database, [broken], 1)).rejects.toThrow("stop");
  const { rows } = await sql`select name from sqlite_master where type = 'table'`.execute(database.queries);
  expect(rows).toEqual([]);
  await database.queries.destroy();
});

test("a file that is no database, a directory and a write lock held too long are store_unavailable", async () => {
  const database = fresh();
  await (await createStore({ database, nowMs: 1 }))[Symbol.asyncDispose]();
  await expect(createStore({ database: { driver: "sqlite", path: directory }, nowMs: 1 })).rejects.toMatchObject({
    reason: "store_unavailable",
  });
  await expect(
    createStore({ database: { driver: "sqlite", path: join(import.meta.dirname, "sqlite.ts", "x.db") }, nowMs: 1 }),
  ).rejects.toMatchObject({ reason: "store_unavailable" });

  await using store = await createStore({ database, nowMs: 1 });
  const other = new Sqlite(database.path);
  other.exec("begin immediate");
  const failure = await store.sandboxes.insert(sandboxRecord()).catch((error: unknown) => error);
  expect(failure).toMatchObject({ reason: "store_unavailable", message: "the database does not answer" });
  other.exec("rollback");
  other.close();
  await store.sandboxes.insert(sandboxRecord());
}, 20_000);
