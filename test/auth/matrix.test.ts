import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type OperationId, operations } from "../../packages/contract/src/index.ts";
import { type PostgresServer, startPostgres, whyNoPostgres } from "../../packages/server/src/store/postgres-fixture.ts";
import { makeDeeds } from "./deeds/all.ts";
import type { Deed } from "./deeds/deed.ts";
import { callerNames, makeWorld, type World } from "./world.ts";

const ids = operations.map(({ id }) => id);
const rows = readFileSync(join(import.meta.dirname, "matrix.txt"), "utf8")
  .split("\n")
  .map((line) => /^([a-z]+\.[a-zA-Z]+) +([-+134 ]+)$/.exec(line))
  .filter((row) => row !== null)
  .map(([, id = "", cells = ""]) => [id as OperationId, cells.replaceAll(" ", "")] as const);

test("every operation has one row, and every row a cell for each caller", () => {
  expect(rows.map(([id]) => id).toSorted()).toEqual(ids.toSorted());
  for (const [id, cells] of rows) expect([id, cells.length]).toEqual([id, callerNames.length]);
});

const statusOf: Readonly<Record<string, number>> = { 1: 401, 3: 403, 4: 404 };

/** The cell that a try deserves. */
const cellOf = ({ reply, shows }: Awaited<ReturnType<Deed>>): string => {
  const served = reply.status === 101 || (reply.status >= 200 && reply.status < 400);
  if (served) return shows ? "+" : "-";
  const cell = Object.entries(statusOf).find(([, status]) => status === reply.status)?.[0] ?? `?${reply.status}`;
  return shows ? `${cell}, and yet it shows: ${reply.text}` : cell;
};

const why = await whyNoPostgres();

describe.each(["sqlite", ...(why === undefined ? ["postgres"] : [])])("who may do what, on %s", (driver) => {
  let postgres: PostgresServer | undefined;
  let world: World;
  let deeds: Readonly<Record<OperationId, Deed>>;

  beforeAll(async () => {
    let database: Record<string, string> = {};
    if (driver === "postgres") {
      postgres = await startPostgres();
      database = { "database.driver": "postgres", "database.dsn": (await postgres.freshDatabase()).reveal() };
    }
    world = await makeWorld(database);
    deeds = await makeDeeds(world);
  });
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]();
    await postgres?.[Symbol.asyncDispose]();
  });

  test.each(rows)("%s", async (id, cells) => {
    const expected: Record<string, string> = {};
    const found: Record<string, string> = {};
    for (const [index, name] of callerNames.entries()) {
      expected[name] = cells[index] ?? "";
      found[name] = cellOf(await deeds[id](world.callers[name], name));
    }
    expect(found).toEqual(expected);
  });
});
