import { StacyError } from "@stacyvm/contract";
import pino from "pino";
import { expect, test } from "vitest";
import { randomIds } from "../lib/id.ts";
import { createStore } from "../store/create-store.ts";
import { sandboxRecord } from "../store/sandbox-record.testing.ts";
import type { Context } from "./context.ts";
import type { Spawned } from "./named-spawn.ts";
import { spawnOnce } from "./spawn-once.ts";

const never = new AbortController().signal;
const caller = { actor: "ann", scope: { tenantId: "t" } };
const asked = { key: "the key", caller, request: { env: { TOKEN: "hunter2" } } };

/** A server's spawns on a store of their own, at a time that the test sets. */
const open = async () => {
  const store = await createStore({ database: { driver: "sqlite", path: ":memory:" }, nowMs: 1 });
  const time = { nowMs: 1_000 };
  const context = { store, clock: { now: () => time.nowMs }, ids: randomIds, log: pino({ level: "silent" }) };
  return {
    store,
    time,
    server: (holderId: string) => spawnOnce({ ...context, holderId } as unknown as Context),
    /** What a spawn does that works. */
    make: async (id: string): Promise<Spawned> => {
      const record = sandboxRecord({ id });
      await store.sandboxes.insert(record);
      return { record, isNew: true };
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
};

/** A spawn that stops where a killed server would: it neither ends nor undoes anything. */
const killedWhile = (during: (id: string) => Promise<void>) => {
  const reached = Promise.withResolvers<string>();
  return {
    reached: reached.promise,
    work: async (id: string): Promise<Spawned> => {
      await during(id);
      reached.resolve(id);
      return await new Promise(() => {});
    },
  };
};

test("a key whose spawn a killed server had not begun is taken over by its next life", async () => {
  await using here = await open();
  const { reached, work } = killedWhile(async () => {});
  void here.server("a")(asked, work, never);
  const lost = await reached;
  const { record, isReplay } = await here.server("a")(asked, here.make, never);
  expect(isReplay).toBe(false);
  expect(record.id).not.toBe(lost);
});

test("a key whose sandbox a killed server had made, but not written down, stands for that sandbox", async () => {
  await using here = await open();
  const { reached, work } = killedWhile(async (id) => void (await here.make(id)));
  void here.server("a")(asked, work, never);
  const made = await reached;
  for (const holderId of ["a", "b"]) {
    expect(await here.server(holderId)(asked, here.make, never)).toMatchObject({
      record: { id: made },
      isReplay: true,
    });
  }
});

test("a key whose sandbox was half made is waited for, and free once that has been ended", async () => {
  await using here = await open();
  const { reached, work } = killedWhile((id) => here.store.sandboxes.insert(sandboxRecord({ id, state: "creating" })));
  void here.server("a")(asked, work, never);
  const half = await reached;
  const leave = new AbortController();
  const left = here.server("a")(asked, here.make, leave.signal);
  leave.abort(new Error("left"));
  await expect(left).rejects.toThrow();
  const other = here.server("a")({ ...asked, request: {} }, here.make, never);
  await expect(other).rejects.toMatchObject({ reason: "idempotency_key_reused" });
  const next = here.server("a")(asked, here.make, never);
  await here.store.sandboxes.transition(half, ["creating"], { state: "destroyed" });
  expect(await next).toMatchObject({ isReplay: false });
});

test("another server's key without a sandbox is waited for, and given up only after its time", async () => {
  await using here = await open();
  const { reached, work } = killedWhile(async () => {});
  void here.server("a")(asked, work, never);
  await reached;
  const leave = new AbortController();
  const waits = here.server("b")(asked, here.make, leave.signal);
  leave.abort(new Error("left"));
  await expect(waits).rejects.toThrow();
  const other = here.server("b")({ ...asked, request: {} }, here.make, never);
  await expect(other).rejects.toMatchObject({ reason: "idempotency_key_reused" });
  here.time.nowMs += 60 * 60_000 + 1;
  expect(await here.server("b")(asked, here.make, never)).toMatchObject({ isReplay: false });
});

test("a spawn that fails frees the key, whoever asks next and whatever for", async () => {
  await using here = await open();
  const once = here.server("a");
  const fail = () => Promise.reject(new StacyError("spawn_failed", "no"));
  await expect(once(asked, fail, never)).rejects.toMatchObject({ reason: "spawn_failed" });
  expect(await once({ ...asked, request: { other: true } }, here.make, never)).toMatchObject({ isReplay: false });
});

test("a key is its caller's alone, and what is kept of it tells neither the key nor the secrets it came with", async () => {
  await using here = await open();
  const once = here.server("a");
  const ids = new Set<string>();
  for (const each of [
    caller,
    { ...caller, actor: "bob" },
    { ...caller, scope: {} },
    { ...caller, scope: { tenantId: "t", projectId: "p" } },
  ]) {
    ids.add((await once({ ...asked, caller: each }, here.make, never)).record.id);
  }
  expect(ids.size).toBe(4);
  const rows: unknown[] = [];
  const claim = here.store.spawnKeys.claim;
  here.store.spawnKeys.claim = async (row) => {
    rows.push(row);
    return await claim(row);
  };
  const same = { request: asked.request, caller: { actor: "cid", scope: { tenantId: "t" } } };
  for (const key of ["one", "two"]) await here.server("a")({ ...same, key }, here.make, never);
  expect(JSON.stringify(rows)).not.toMatch(/hunter2|TOKEN|"one"|"two"|the key/);
  // The same request under two keys can't be told from two requests.
  const fingerprints = rows.map((row) => (row as { readonly fingerprint: string }).fingerprint);
  expect(new Set(fingerprints).size).toBe(2);
});
