import { expect, test } from "vitest";
import type { AuditStore, OperationAudit } from "../store/store.ts";
import { AuditBatch } from "./audit-batch.ts";

const row = (action: string): OperationAudit => ({
  actor: "a",
  action,
  sandboxId: "sb-1",
  resource: "",
  provider: "oci",
  status: "success",
  detail: "",
  tenantId: "",
  createdAtMs: 1,
});

const storeThat = (record: AuditStore["record"]): AuditStore => ({ record, list: async () => [] });

test("rows are written in order and many at once, and disposing writes what is left", async () => {
  const written: string[][] = [];
  const store = storeThat(async (rows) => {
    written.push(rows.map(({ action }) => action));
  });
  const names = Array.from({ length: 1200 }, (_, i) => String(i));
  {
    await using batch = new AuditBatch({ store, onFailure: () => expect.unreachable() });
    for (const name of names) batch.add(row(name));
  }
  expect(written.flat()).toEqual(names);
  expect(written.length).toBeLessThan(names.length / 100);
});

test("a database that doesn't answer loses nothing: the rows are written when it does again", async () => {
  let down = true;
  const written: string[] = [];
  const failures: unknown[] = [];
  const store = storeThat(async (rows) => {
    if (down) throw new Error("down");
    written.push(...rows.map(({ action }) => action));
  });
  await using batch = new AuditBatch({ store, onFailure: (error) => failures.push(error) });
  batch.add(row("first"));
  await batch.flush();
  down = false;
  batch.add(row("second"));
  await batch.flush();
  expect(failures).toHaveLength(1);
  expect(written).toEqual(["first", "second"]);
});

test("50000 rows wait, and of one more the oldest is lost and told", async () => {
  const written: string[] = [];
  const lost: number[] = [];
  const store = storeThat(async (rows) => {
    written.push(...rows.map(({ action }) => action));
  });
  await using batch = new AuditBatch({ store, onFailure: (_, count) => lost.push(count) });
  for (let i = 0; i < 50_000; i++) batch.add(row(String(i)));
  expect(lost).toEqual([]);
  batch.add(row("one more"));
  expect(lost).toEqual([1]);
  await batch.flush();
  expect([written.length, written[0], written.at(-1)]).toEqual([50_000, "1", "one more"]);
});

test("once it is disposed of, what can't be written or comes late is told as lost, and no timer keeps the process", async () => {
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  const lost: number[] = [];
  const store = storeThat(async () => {
    throw new Error("closed");
  });
  const before = timers();
  const batch = new AuditBatch({ store, onFailure: (_, count) => lost.push(count) });
  batch.add(row("first"));
  batch.add(row("second"));
  await batch[Symbol.asyncDispose]();
  batch.add(row("late"));
  expect(lost).toEqual([2, 1]);
  expect(timers()).toBeLessThanOrEqual(before);
});
