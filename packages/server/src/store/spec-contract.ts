import { randomBytes } from "node:crypto";
import type { Insertable } from "kysely";
import { describe, expect, test } from "vitest";
import type { SandboxRecord, SandboxSummary } from "../sandbox/sandbox.ts";
import { createStore } from "./create-store.ts";
import { migrate } from "./migrate.ts";
import { migrations } from "./migrations/all.ts";
import { type DatabaseLocation, openDatabase } from "./open-database.ts";
import { sandboxRecord } from "./sandbox-record.testing.ts";
import { fromSandbox } from "./sandbox-rows.ts";
import type { SandboxFilter, SandboxSort, Store } from "./store.ts";
import type { SandboxesTable } from "./tables.ts";

const word = (): string => randomBytes(8).toString("hex");
const start = 1_790_000_000_000;
const noCaps = { maxSandboxes: 0, maxOwnerSandboxes: 0 };

/** What a store promises about names, labels, orders and keys of spawns; part of the store's contract. */
export const specsAreKept = (store: () => Store, freshDatabase: () => Promise<DatabaseLocation>): void => {
  test("a database of version 3 keeps its rows, and a program of that version may still write", async () => {
    const location = await freshDatabase();
    const old = openDatabase(location);
    const before = migrations.filter(({ version }) => version <= 3);
    expect(await migrate(old, before, start)).toEqual([1, 2, 3]);
    const records = [sandboxRecord({ metadata: { a: "b" } }), sandboxRecord()];
    const insertOld = async (record: SandboxRecord | undefined): Promise<void> => {
      if (record === undefined) return;
      const { name, labels, env_names, workdir, run_as, network_mode, project_id, network, secrets, ...row } =
        fromSandbox(record);
      const later = [name, labels, env_names, workdir, run_as, network_mode, project_id, network, secrets];
      expect(later).toEqual(["", "{}", "[]", "", "", "none", "", "", "[]"]);
      await old.queries
        .insertInto("sandboxes")
        .values(row as Insertable<SandboxesTable>)
        .execute();
    };
    await insertOld(records[0]);
    await using migrated = await createStore({ database: location, nowMs: start });
    await insertOld(records[1]);
    for (const record of records) expect(await migrated.sandboxes.get(record.id)).toEqual(record);
    expect(await migrated.sandboxes.list({}, { sort: { by: "name", descending: false } })).toHaveLength(2);
    const named = sandboxRecord({ name: "web", labels: { a: "b" } });
    expect(await migrated.admitAndInsert(named, noCaps)).toBeUndefined();
    expect(await migrated.sandboxes.list({ labels: [{ name: "a" }] })).toEqual([named]);
    await old.queries.destroy();
  });

  describe("names", () => {
    test("are one living sandbox's of an owner and a tenant, however many ask at once", async () => {
      const owner = { ownerId: word(), tenantId: word(), name: "web" };
      const admit = (change: Partial<SandboxRecord>) =>
        store().admitAndInsert(sandboxRecord({ ...owner, ...change }), noCaps);
      const records = Array.from({ length: 20 }, () => sandboxRecord(owner));
      // With its connections open the pool lets the next ten begin at once.
      await Promise.all(records.map(() => store().ping()));
      const refusals = await Promise.all(records.map((record) => store().admitAndInsert(record, noCaps)));
      expect(refusals.filter((refusal) => refusal === undefined)).toHaveLength(1);
      const first = records[refusals.indexOf(undefined)];
      if (first === undefined) throw new Error("nobody came in");
      for (const refusal of refusals) {
        if (refusal !== undefined) expect(refusal).toEqual({ limit: "name", sandboxId: first.id });
      }
      expect(await admit({ ownerId: word() })).toBeUndefined();
      expect(await admit({ tenantId: word() })).toBeUndefined();
      expect(await admit({ name: "web-2" })).toBeUndefined();
      expect(await admit({ name: "" })).toBeUndefined();
      expect(await admit({ name: "" })).toBeUndefined();
      await store().sandboxes.transition(first.id, ["running"], { state: "destroyed" });
      expect(await admit({})).toBeUndefined();
    });

    test("that are taken come before a cap that is reached", async () => {
      const record = sandboxRecord({ ownerId: word(), name: "web" });
      const caps = { maxSandboxes: 0, maxOwnerSandboxes: 1 };
      expect(await store().admitAndInsert(record, caps)).toBeUndefined();
      expect(await store().admitAndInsert({ ...record, id: word() }, caps)).toMatchObject({ limit: "name" });
    });

    test("are also kept apart by the table itself, past every look", async () => {
      const record = sandboxRecord({ ownerId: word(), name: "web" });
      await store().sandboxes.insert(record);
      await expect(store().sandboxes.insert({ ...record, id: word() })).rejects.toMatchObject({
        reason: "already_exists",
      });
    });
  });

  describe("lists", () => {
    const ids = async (filter: SandboxFilter): Promise<string[]> =>
      (await store().sandboxes.list(filter)).map((record) => record.id).toSorted();

    test("are filtered by labels, name and time; what only looks like SQL finds nothing", async () => {
      const ownerId = word();
      const insert = async (change: Partial<SandboxRecord>): Promise<string> => {
        const record = sandboxRecord({ ownerId, ...change });
        await store().sandboxes.insert(record);
        return record.id;
      };
      const web = await insert({ labels: { app: "web", tier: "" }, name: "a", createdAtMs: start });
      const api = await insert({ labels: { app: "api" }, name: "b", createdAtMs: start + 1 });
      const bare = await insert({ createdAtMs: start + 2 });
      const gone = await insert({ labels: { app: "web" }, state: "destroyed" });
      expect(await ids({ ownerId, labels: [{ name: "app", value: "web" }] })).toEqual([web]);
      expect(await ids({ ownerId, labels: [{ name: "app" }] })).toEqual([web, api].toSorted());
      expect(await ids({ ownerId, labels: [{ name: "app" }, { name: "tier", value: "" }] })).toEqual([web]);
      expect(await ids({ ownerId, labels: [{ name: "app" }, { name: "tier", value: "x" }] })).toEqual([]);
      expect(await ids({ ownerId, labels: [{ name: "app" }], states: ["destroyed"] })).toEqual([gone]);
      expect(await ids({ ownerId, name: "b" })).toEqual([api]);
      expect(await ids({ ownerId, createdAfterMs: start, createdBeforeMs: start + 2 })).toEqual([api]);
      expect(await ids({ ownerId, createdAfterMs: start })).toEqual([api, bare].toSorted());
      expect(await store().sandboxes.count({ ownerId, labels: [{ name: "app" }] })).toBe(2);
      for (const forged of ["app' or '1'='1", 'app") or 1=1 --', "%", "app'; drop table sandbox_labels; --"]) {
        expect(await ids({ ownerId, labels: [{ name: forged }] })).toEqual([]);
        expect(await ids({ ownerId, labels: [{ name: "app", value: forged }] })).toEqual([]);
      }
    });

    test("are sorted by time, expiry or name either way, each row once over all pages", async () => {
      const ownerId = word();
      const records = Array.from({ length: 17 }, (_, n) =>
        sandboxRecord({
          ownerId,
          createdAtMs: start + (n % 3),
          expiresAtMs: start + 60_000 - (n % 4),
          name: n % 5 === 0 ? "" : `n-${(n * 7) % 17}`,
        }),
      );
      for (const record of records) await store().sandboxes.insert(record);
      for (const by of ["createdAt", "expiresAt", "name"] as const) {
        const keyOf = (row: SandboxSummary) =>
          by === "name" ? row.name : by === "createdAt" ? row.createdAtMs : row.expiresAtMs;
        for (const descending of [true, false]) {
          const sort: SandboxSort = { by, descending };
          const seen: SandboxSummary[] = [];
          for (;;) {
            const last = seen.at(-1);
            const after = last && { after: { value: keyOf(last), id: last.id } };
            const page = await store().sandboxes.listSummaries({ ownerId }, { limit: 4, sort, ...after });
            if (page.length === 0) break;
            seen.push(...page);
          }
          const expected = records.toSorted((a, b) => {
            const [x, y] = [keyOf(a), keyOf(b)];
            const order = x < y ? -1 : x > y ? 1 : a.id < b.id ? -1 : 1;
            return descending ? -order : order;
          });
          expect(seen.map(({ id }) => id)).toEqual(expected.map(({ id }) => id));
          expect(await store().sandboxes.list({ ownerId }, { sort })).toEqual(expected);
        }
      }
    });
  });

  test("labels go with the row that is purged, and with a row that could not be inserted", async () => {
    const record = sandboxRecord({ state: "destroyed", updatedAtMs: 10, labels: { [word()]: "x" } });
    const labels = Object.keys(record.labels).map((name) => ({ name }));
    await store().sandboxes.insert(record);
    await expect(store().sandboxes.insert({ ...record, labels: { [word()]: "y" } })).rejects.toThrow();
    await store().sandboxes.purgeDestroyed(20, 100);
    await store().sandboxes.insert({ ...record, labels: {} });
    expect(await store().sandboxes.list({ states: ["destroyed"], labels })).toEqual([]);
  });

  describe("keys of spawns", () => {
    const claim = (key: string, change: object = {}) =>
      store().spawnKeys.claim({
        key,
        fingerprint: "f",
        sandboxId: word(),
        holderId: "h",
        createdAtMs: start,
        ...change,
      });

    test("are one spawn's, however many claim them at once", async () => {
      const key = word();
      const sandboxIds = Array.from({ length: 20 }, word);
      const rows = await Promise.all(sandboxIds.map((sandboxId) => claim(key, { sandboxId })));
      expect(new Set(rows.map((row) => row.sandboxId)).size).toBe(1);
      expect(sandboxIds).toContain(rows[0]?.sandboxId);
    });

    test("are settled once, and freed only before", async () => {
      const key = word();
      const first = await claim(key);
      expect(await store().spawnKeys.free({ key, sandboxId: "another" })).toBe(false);
      expect(await store().spawnKeys.free(first)).toBe(true);
      expect(await store().spawnKeys.settle(first, "made", start)).toBe(false);
      const second = await claim(key);
      expect(await store().spawnKeys.settle(second, "made", start + 1)).toBe(true);
      expect(await store().spawnKeys.settle(second, "again", start + 1)).toBe(false);
      expect(await store().spawnKeys.free({ key, sandboxId: "made" })).toBe(false);
      expect(await claim(key)).toEqual({ ...second, sandboxId: "made", settledAtMs: start + 1 });
    });

    test("are pruned by age", async () => {
      const [old, recent] = [word(), word()];
      await claim(old, { createdAtMs: 10 });
      await claim(recent, { createdAtMs: 20, sandboxId: "recent" });
      expect(await store().spawnKeys.prune(20)).toBe(1);
      expect(await claim(recent)).toMatchObject({ sandboxId: "recent" });
      expect(await claim(old, { sandboxId: "new" })).toMatchObject({ sandboxId: "new" });
    });
  });
};
