import { afterAll, beforeAll, expect, test } from "vitest";
import { createStore } from "../store/create-store.ts";
import { sandboxRecord } from "../store/sandbox-record.testing.ts";
import type { Store } from "../store/store.ts";
import { purgeDestroyed } from "./purge.ts";

let store: Store;
beforeAll(async () => {
  store = await createStore({ database: { driver: "sqlite", path: ":memory:" }, nowMs: 0 });
});
afterAll(() => store[Symbol.asyncDispose]());

test("every sandbox destroyed long enough ago goes, however many there are, and no other", async () => {
  for (let i = 0; i < 1_100; i += 1) {
    await store.sandboxes.insert(sandboxRecord({ state: "destroyed", updatedAtMs: 1_000 + i }));
  }
  const [young, living] = [
    sandboxRecord({ state: "destroyed", updatedAtMs: 5_000 }),
    sandboxRecord({ state: "running", updatedAtMs: 1_000 }),
  ];
  for (const record of [young, living]) await store.sandboxes.insert(record);
  expect(await purgeDestroyed(store, 5_000, AbortSignal.timeout(10_000))).toBe(1_100);
  expect(await purgeDestroyed(store, 5_000, AbortSignal.timeout(10_000))).toBe(0);
  for (const { id } of [young, living]) expect(await store.sandboxes.get(id)).toBeDefined();
});

test("a shutdown ends it between two transactions", async () => {
  await expect(purgeDestroyed(store, 5_000, AbortSignal.abort(new Error("closing")))).rejects.toThrow("closing");
});
