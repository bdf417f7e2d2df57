import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { randomIds } from "../lib/id.ts";
import { createStore } from "../store/create-store.ts";
import type { ApiKeyRecord, Store } from "../store/store.ts";
import { ApiKeys, type NewApiKey } from "./api-keys.ts";

let store: Store;
let nowMs = 1_800_000_000_000;
const clock = { now: () => nowMs };
const open = (of: Pick<Store, "apiKeys"> = store) => new ApiKeys({ store: of.apiKeys, clock, ids: randomIds });
const wanted: NewApiKey = { name: "ci", role: "operator", tenantId: "", projectId: "", ttlMs: 0, createdBy: "admin" };

beforeAll(async () => {
  store = await createStore({ database: { driver: "sqlite", path: ":memory:" }, nowMs });
});
afterAll(() => store[Symbol.asyncDispose]());
beforeEach(() => {
  nowMs += 3_600_000;
});

test("a key is 256 random bits, told once, and nothing in the database opens anything", async () => {
  const keys = open();
  const { record, key } = await keys.create(wanted);
  expect(key.reveal()).toMatch(/^svm_[A-Za-z0-9_-]{43}$/);
  expect(`${key} ${JSON.stringify(key)}`).not.toContain("svm_");
  expect(key.reveal().startsWith(record.prefix)).toBe(true);
  const kept = JSON.stringify(await keys.list());
  expect(kept).not.toContain(key.reveal().slice(record.prefix.length));
  for (const stolen of [record.digest, record.id, record.prefix, `svm_${record.digest.slice(0, 43)}`]) {
    await expect(keys.identify(stolen)).rejects.toMatchObject({ reason: "unauthenticated" });
  }
  expect(await keys.identify(key.reveal())).toEqual({
    keyId: record.id,
    role: "operator",
    tenantId: "",
    projectId: "",
    member: undefined,
    expiresAtMs: 0,
  });
  expect((await keys.create(wanted)).key.reveal()).not.toBe(key.reveal());
});

test("a key ends at its time, and its holder is told so", async () => {
  const keys = open();
  const { record, key } = await keys.create({ ...wanted, ttlMs: 60_000 });
  nowMs += 59_999;
  expect(await keys.identify(key.reveal())).toMatchObject({ keyId: record.id });
  nowMs += 1;
  await expect(keys.identify(key.reveal())).rejects.toThrow(`API key ${record.prefix}… has expired`);
});

test("a revoked key ends at once here, and within five seconds on another server", async () => {
  const [here, there] = [open(), open()];
  const { record, key } = await here.create(wanted);
  await Promise.all([here.identify(key.reveal()), there.identify(key.reveal())]);
  await here.revoke(record.id);
  await expect(here.identify(key.reveal())).rejects.toThrow(`API key ${record.prefix}… was revoked`);
  nowMs += 5_000;
  await expect(there.identify(key.reveal())).rejects.toThrow("was revoked");
  await expect(here.revoke("key-none")).rejects.toMatchObject({ reason: "key_not_found" });
});

test("a key revoked while it is looked up is not let in by what the look found", async () => {
  let found = Promise.withResolvers<void>();
  const slow: Pick<Store, "apiKeys"> = {
    apiKeys: {
      ...store.apiKeys,
      findByDigest: async (digest) => {
        const record = await store.apiKeys.findByDigest(digest);
        await found.promise;
        return record;
      },
    },
  };
  const keys = open(slow);
  const { record, key } = await keys.create(wanted);
  const identified = keys.identify(key.reveal());
  await keys.revoke(record.id);
  found.resolve();
  await expect(identified).rejects.toThrow("was revoked");
  found = Promise.withResolvers();
});

test("its last use is kept, to the minute, and costs one write in it", async () => {
  const uses: number[] = [];
  const counted: Pick<Store, "apiKeys"> = {
    apiKeys: {
      ...store.apiKeys,
      noteUse: async (id, atMs) => {
        uses.push(atMs);
        await store.apiKeys.noteUse(id, atMs);
      },
    },
  };
  const keys = open(counted);
  const { record, key } = await keys.create(wanted);
  const first = nowMs;
  for (let i = 0; i < 10; i += 1) await keys.identify(key.reveal());
  nowMs += 60_000;
  await keys.identify(key.reveal());
  expect(uses).toEqual([first, first + 60_000]);
  await expect
    .poll(async () => (await keys.list()).find(({ id }) => id === record.id)?.lastUsedAtMs)
    .toBe(first + 60_000);
});

describe("a key that would be more or less than it says", () => {
  test.each([
    [{ role: "tenant_admin" }, "a tenant_admin key needs a tenant_id"],
    [{ role: "admin", tenantId: "acme" }, "an admin key is of no tenant"],
  ] as const)("%j is not made", async (more, message) => {
    await expect(open().create({ ...wanted, ...more })).rejects.toThrow(message);
  });

  test("counts for nothing when its role is unknown", async () => {
    const keys = open();
    const { key } = await keys.create(wanted);
    const strange: Pick<Store, "apiKeys"> = {
      apiKeys: {
        ...store.apiKeys,
        findByDigest: async (digest) =>
          ({ ...(await store.apiKeys.findByDigest(digest)), role: "root" }) as ApiKeyRecord,
      },
    };
    await expect(open(strange).identify(key.reveal())).rejects.toThrow("a role that this server doesn't know");
  });
});

test("of more than 10,000 keys that are tried the first is looked up again", async () => {
  let looks = 0;
  const counted: Pick<Store, "apiKeys"> = {
    apiKeys: {
      ...store.apiKeys,
      findByDigest: async () => {
        looks += 1;
        return undefined;
      },
    },
  };
  const keys = open(counted);
  const attempt = (i: number) => keys.identify(`svm_${String(i).padStart(43, "0")}`).catch(() => {});
  for (let i = 0; i <= 10_000; i += 1) await attempt(i);
  await attempt(10_000);
  expect(looks).toBe(10_001);
  await attempt(0);
  expect(looks).toBe(10_002);
});
