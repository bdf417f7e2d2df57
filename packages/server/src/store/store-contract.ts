import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { SandboxRecord, SandboxSummary } from "../sandbox/sandbox.ts";
import { capsHold } from "./admission-contract.ts";
import { apiKeysAreKept } from "./api-key-contract.ts";
import { createStore } from "./create-store.ts";
import { leasesExcludeEachOther } from "./lease-contract.ts";
import { migrations } from "./migrations/all.ts";
import type { DatabaseLocation } from "./open-database.ts";
import { specsAreKept } from "./spec-contract.ts";
import type { OperationAudit, Store, Template } from "./store.ts";
import { inProcess } from "./store-process.testing.ts";

const id = (): string => `sb-${randomBytes(8).toString("hex")}`;
const start = 1_790_000_000_000;

/** A running sandbox; everything may be replaced. */
export const sandboxRecord = (change: Partial<SandboxRecord> = {}): SandboxRecord => ({
  id: id(),
  state: "running",
  stateReason: "",
  provider: "mock",
  image: "alpine:latest",
  imageDigest: "",
  memoryMb: 512,
  vcpus: 1,
  diskMb: 1024,
  security: "default",
  ownerId: "",
  tenantId: "",
  workerId: "local",
  metadata: {},
  runtimeRef: "",
  generation: 1,
  createdAtMs: start,
  expiresAtMs: start + 60_000,
  updatedAtMs: start,
  stateDeadlineMs: 0,
  name: "",
  labels: {},
  envNames: [],
  workdir: "",
  user: "",
  networkMode: "none",
  ...change,
});

const template = (change: Partial<Template> = {}): Template => ({
  name: id(),
  version: 1,
  image: "alpine",
  description: "",
  setup: ["apk add git"],
  allowedHosts: ["example.com"],
  memoryMb: 512,
  cpuCores: 1,
  ttlSeconds: 300,
  env: { PATH: "/bin" },
  secrets: [{ name: "token", injectAt: "env" }],
  poolSize: 0,
  provider: "",
  metadata: {},
  createdAtMs: start,
  updatedAtMs: start,
  ...change,
});

const audit = (change: Partial<OperationAudit>): OperationAudit => ({
  actor: "somebody",
  action: "exec",
  sandboxId: "",
  resource: "",
  provider: "mock",
  status: "success",
  detail: "",
  tenantId: "",
  createdAtMs: start,
  ...change,
});

/** Everything a store promises; run once for each dialect, on a database of its own. */
export const storeContract = (name: string, freshDatabase: () => Promise<DatabaseLocation>): void => {
  describe(`a store on ${name}`, { timeout: 30_000 }, () => {
    let database: DatabaseLocation;
    let store: Store;
    beforeAll(async () => {
      database = await freshDatabase();
      store = await createStore({ database, nowMs: start });
    }, 60_000);
    afterAll(async () => {
      await store?.[Symbol.asyncDispose]();
    });

    describe("sandboxes", () => {
      test("come back as they were put in, the largest numbers and the strangest text included", async () => {
        const record = sandboxRecord({
          state: "error",
          stateReason: "it said 'no'; \"twice\" \\ \n🦊",
          metadata: JSON.parse('{"__proto__":"kept","constructor":"kept","":"empty","nul":"\\u0000","🦊":"é"}'),
          runtimeRef: '{"version":1,"data":{}}',
          generation: Number.MAX_SAFE_INTEGER,
          expiresAtMs: Number.MAX_SAFE_INTEGER,
          stateDeadlineMs: Number.MAX_SAFE_INTEGER,
          name: "web-1",
          labels: { "example.com/app": "web", tier: "" },
          envNames: ["A", "_B"],
          workdir: "/srv/ü",
          user: "1000:50",
          networkMode: "bridge",
        });
        await store.sandboxes.insert(record);
        const found = await store.sandboxes.get(record.id);
        expect(found).toEqual(record);
        expect(Object.keys(found?.metadata ?? {})).toContain("__proto__");
      });

      test("refuse an id that is taken, and keep the first", async () => {
        const record = sandboxRecord();
        await store.sandboxes.insert(record);
        await expect(store.sandboxes.insert({ ...record, image: "other" })).rejects.toMatchObject({
          reason: "already_exists",
          message: "conflict: sandbox already exists",
        });
        expect(await store.sandboxes.get(record.id)).toEqual(record);
      });

      test("are undefined where there is none", async () => {
        expect(await store.sandboxes.get(id())).toBeUndefined();
        expect(await store.sandboxes.transition(id(), ["running"], { state: "error" })).toBeUndefined();
      });

      test("are listed newest first, each exactly once over all pages, also where times are equal", async () => {
        const ownerId = id();
        const records = Array.from({ length: 23 }, (_, n) =>
          sandboxRecord({ ownerId, createdAtMs: start + Math.floor(n / 5) }),
        );
        for (const record of records) await store.sandboxes.insert(record);
        const seen: SandboxSummary[] = [];
        for (;;) {
          const last = seen.at(-1);
          const page = await store.sandboxes.listSummaries(
            { ownerId },
            { limit: 4, ...(last && { after: { value: last.createdAtMs, id: last.id } }) },
          );
          if (page.length === 0) break;
          seen.push(...page);
        }
        const expected = records.toSorted((a, b) => b.createdAtMs - a.createdAtMs || (a.id < b.id ? 1 : -1));
        expect(expected).toMatchObject(seen);
        expect(seen).toHaveLength(expected.length);
        expect(await store.sandboxes.list({ ownerId })).toEqual(expected);
      });

      test("are filtered by state, provider, owner, tenant, worker and image; destroyed ones show only when named", async () => {
        const ownerId = id();
        const tenantId = id();
        const insert = async (change: Partial<SandboxRecord>): Promise<string> => {
          const record = sandboxRecord({ ownerId, ...change });
          await store.sandboxes.insert(record);
          return record.id;
        };
        const plain = await insert({});
        const other = await insert({ provider: "oci", tenantId });
        const gone = await insert({ state: "destroyed", tenantId });
        const ownerOfOne = id();
        const one = await insert({ ownerId: ownerOfOne, workerId: "elsewhere", imageDigest: "sha256:other" });
        await insert({ ownerId: ownerOfOne });
        const ids = async (filter: Parameters<Store["sandboxes"]["list"]>[0]): Promise<string[]> =>
          (await store.sandboxes.list(filter)).map((record) => record.id).toSorted();
        expect(await ids({ ownerId })).toEqual([plain, other].toSorted());
        expect(await ids({ ownerId, provider: "oci" })).toEqual([other]);
        expect(await ids({ tenantId })).toEqual([other]);
        expect(await ids({ ownerId, states: ["destroyed"] })).toEqual([gone]);
        expect(await ids({ ownerId, states: ["destroyed", "running"], tenantId })).toEqual([gone, other].toSorted());
        expect(await ids({ ownerId, states: [] })).toEqual([]);
        expect(await ids({ ownerId: ownerOfOne, workerId: "elsewhere" })).toEqual([one]);
        expect(await ids({ ownerId: ownerOfOne, imageDigest: "sha256:other" })).toEqual([one]);
        expect(await store.sandboxes.count({ ownerId })).toBe(2);
        expect(await store.sandboxes.count({ ownerId, states: ["destroyed", "running"] })).toBe(2);
        expect(await ids({ ownerId: "' or 1=1 --" })).toEqual([]);
      });

      test("change only from a state that was named, and only under the generation that was named", async () => {
        const record = sandboxRecord({ generation: 4 });
        await store.sandboxes.insert(record);
        const change = {
          state: "destroying",
          generation: 5,
          stateDeadlineMs: start + 5,
          metadata: { a: "b" },
        } as const;
        expect(await store.sandboxes.transition(record.id, ["creating", "error"], change)).toBeUndefined();
        expect(await store.sandboxes.transition(record.id, [], change)).toBeUndefined();
        expect(await store.sandboxes.transition(record.id, ["running"], change, 3)).toBeUndefined();
        expect(await store.sandboxes.get(record.id)).toEqual(record);
        const changed = await store.sandboxes.transition(record.id, ["running"], change, 4);
        expect(changed).toEqual({ ...record, ...change });
        expect(await store.sandboxes.get(record.id)).toEqual(changed);
        expect(await store.sandboxes.transition(record.id, ["destroying"], {})).toEqual(changed);
      });

      test("let exactly one of many concurrent transitions through", async () => {
        const record = sandboxRecord();
        await store.sandboxes.insert(record);
        const outcomes = await Promise.all(
          Array.from({ length: 20 }, () =>
            store.sandboxes.transition(record.id, ["running"], { state: "destroying", updatedAtMs: start + 1 }),
          ),
        );
        expect(outcomes.filter((outcome) => outcome !== undefined)).toHaveLength(1);
      });

      test("renew an expiry only from the value that was seen, and never one that has passed", async () => {
        const record = sandboxRecord({ expiresAtMs: start + 100 });
        await store.sandboxes.insert(record);
        const renew = (seen: number, now: number) =>
          store.sandboxes.renewExpiry(record.id, { expiresAtMs: seen }, start + 900, now);
        expect(await renew(start + 99, start)).toBeUndefined();
        expect(await renew(start + 100, start + 100)).toBeUndefined();
        expect(await renew(start + 100, start + 99)).toEqual({
          ...record,
          expiresAtMs: start + 900,
          updatedAtMs: start + 99,
        });
        await store.sandboxes.transition(record.id, ["running"], { state: "destroying" });
        expect(await renew(start + 900, start)).toBeUndefined();
      });

      test("that have expired are listed oldest first, without those already going or not yet come", async () => {
        const provider = id();
        const insert = async (change: Partial<SandboxRecord>): Promise<SandboxRecord> => {
          const record = sandboxRecord({ provider, ...change });
          await store.sandboxes.insert(record);
          return record;
        };
        const late = await insert({ expiresAtMs: 20, state: "error" });
        const early = await insert({ expiresAtMs: 10 });
        await insert({ expiresAtMs: 21 });
        for (const state of ["creating", "destroying", "destroyed"] as const) await insert({ expiresAtMs: 5, state });
        expect(await store.sandboxes.listExpired(20, 100)).toEqual([early, late]);
        expect(await store.sandboxes.listExpired(20, 1)).toEqual([early]);
        expect(await store.sandboxes.listExpired(9, 100)).toEqual([]);
      });

      test("past the deadline of their state are listed, oldest deadline first", async () => {
        const slow = sandboxRecord({ state: "creating", stateDeadlineMs: 20 });
        const slower = sandboxRecord({ state: "destroying", stateDeadlineMs: 10 });
        for (const record of [slow, slower, sandboxRecord(), sandboxRecord({ stateDeadlineMs: 21 })]) {
          await store.sandboxes.insert(record);
        }
        expect(await store.sandboxes.listOverdue(20, 100)).toEqual([slower, slow]);
        expect(await store.sandboxes.listOverdue(20, 1)).toEqual([slower]);
      });

      test("are counted by state, and the living by provider and worker", async () => {
        const provider = id();
        const workerId = id();
        await store.sandboxes.insert(sandboxRecord({ provider, workerId }));
        await store.sandboxes.insert(sandboxRecord({ provider, workerId, state: "unhealthy" }));
        await store.sandboxes.insert(sandboxRecord({ provider, workerId, state: "destroyed" }));
        expect(await store.sandboxes.countByState()).toMatchObject({ unhealthy: 1 });
        expect((await store.sandboxes.countByState()).destroyed).toBeGreaterThan(0);
        expect((await store.sandboxes.countByProvider())[provider]).toBe(2);
        expect((await store.sandboxes.countByWorker())[workerId]).toBe(2);
        expect(await store.sandboxes.diskMb(provider)).toBe(2 * sandboxRecord({}).diskMb);
        expect(await store.sandboxes.diskMb(id())).toBe(0);
      });

      test("are purged only when destroyed for long enough, their leases with them", async () => {
        const old = sandboxRecord({ state: "destroyed", updatedAtMs: 10 });
        const recent = sandboxRecord({ state: "destroyed", updatedAtMs: 20 });
        const alive = sandboxRecord({ updatedAtMs: 10 });
        for (const record of [old, recent, alive]) {
          await store.sandboxes.insert(record);
          const request = { resourceId: record.id, resourceType: "sandbox", holderId: "a", ttlMs: 1, nowMs: 1 };
          await store.leases.acquire(request);
        }
        expect(await store.sandboxes.purgeDestroyed(20, 100)).toBe(1);
        expect(await store.sandboxes.get(old.id)).toBeUndefined();
        expect(await store.leases.get(old.id)).toBeUndefined();
        for (const record of [recent, alive]) {
          expect(await store.sandboxes.get(record.id)).toEqual(record);
          expect(await store.leases.get(record.id)).toBeDefined();
        }
        expect(await store.sandboxes.purgeDestroyed(20, 100)).toBe(0);
      });
    });

    capsHold(() => store, sandboxRecord, freshDatabase);

    specsAreKept(() => store, sandboxRecord, freshDatabase);

    apiKeysAreKept(() => store);

    test("two processes that start together on an empty database both come up, and each migration ran once", async () => {
      for (let round = 0; round < 3; round++) {
        const location = await freshDatabase();
        const started = await Promise.all([1, 2].map(() => inProcess({ database: location, nowMs: start })));
        for (const { versions } of started) expect(versions).toEqual(migrations.map(({ version }) => version));
      }
    });

    test("a database has one id, whoever opens it, and no two have the same", async () => {
      const [one, other] = [await freshDatabase(), await freshDatabase()];
      await using first = await createStore({ database: one, nowMs: start });
      await using again = await createStore({ database: one, nowMs: start });
      await using second = await createStore({ database: other, nowMs: start });
      expect(first.id).toMatch(/^[0-9a-f-]{36}$/);
      expect(again.id).toBe(first.id);
      expect(second.id).not.toBe(first.id);
    });

    test("a lease is taken, refused, renewed, released and taken again under a higher generation", async () => {
      const resourceId = id();
      const take = (holderId: string, nowMs: number) =>
        store.leases.acquire({ resourceId, resourceType: "sandbox", holderId, ttlMs: 100, nowMs });
      const first = await take("a", 0);
      expect(first).toEqual({
        resourceId,
        resourceType: "sandbox",
        holderId: "a",
        generation: 1,
        expiresAtMs: 100,
      });
      if (first === undefined) return;
      expect(await take("b", 99)).toBeUndefined();
      expect(await take("a", 50)).toMatchObject({ generation: 1, expiresAtMs: 150 });
      expect(await store.leases.renew(first, 100, 150)).toBeUndefined();
      expect(await take("b", 150)).toMatchObject({ holderId: "b", generation: 2 });
      expect(await store.leases.renew(first, 100, 151)).toBeUndefined();
      expect(await store.leases.release(first)).toBe(false);
      const second = { ...first, holderId: "b", generation: 2 };
      expect(await store.leases.renewAll("b", 300, 160)).toBe(1);
      expect(await store.leases.get(resourceId)).toMatchObject({ holderId: "b", expiresAtMs: 460 });
      expect(await store.leases.release(second)).toBe(true);
      expect(await store.leases.get(resourceId)).toBeUndefined();
      expect((await store.leases.list()).some((lease) => lease.resourceId === resourceId)).toBe(false);
      expect(await store.leases.release(second)).toBe(false);
      expect(await take("b", 170)).toMatchObject({ holderId: "b", generation: 3 });
      expect(await store.leases.renew(second, 100, 171)).toBeUndefined();
      await expect(take("", 9_999)).rejects.toMatchObject({ reason: "internal" });
    });

    test("whatever several holders do in whatever order, no two hold a lease at once and no generation falls", async () => {
      await leasesExcludeEachOther(store.leases);
    });

    test("a quota is saved, replaced with its first time kept, listed in order and deleted", async () => {
      const ownerId = id();
      const quota = { ownerId, maxSandboxes: 3, maxTtlMs: 60_000, maxExecTimeoutMs: 0, updatedAtMs: start };
      expect(await store.quotas.save(quota)).toEqual({ ...quota, createdAtMs: start });
      const replaced = await store.quotas.save({ ...quota, maxSandboxes: 0, updatedAtMs: start + 1 });
      expect(replaced).toEqual({ ...quota, maxSandboxes: 0, createdAtMs: start, updatedAtMs: start + 1 });
      expect(await store.quotas.get(ownerId)).toEqual(replaced);
      for (const name of ["B", "_", "a"]) await store.quotas.save({ ...quota, ownerId: `${ownerId}${name}` });
      const owners = (await store.quotas.list()).map((item) => item.ownerId);
      expect(owners).toEqual([ownerId, `${ownerId}B`, `${ownerId}_`, `${ownerId}a`]);
      expect(await store.quotas.delete(ownerId)).toBe(true);
      expect(await store.quotas.delete(ownerId)).toBe(false);
      expect(await store.quotas.get(ownerId)).toBeUndefined();
    });

    test("a template is inserted once, changed where it exists, listed by name and deleted", async () => {
      const first = template();
      await store.templates.insert(first);
      await expect(store.templates.insert(first)).rejects.toMatchObject({
        message: "conflict: template already exists",
      });
      expect(await store.templates.get(first.name)).toEqual(first);
      const change = { version: 2, env: {}, secrets: [], updatedAtMs: start + 1 };
      expect(await store.templates.update(first.name, change)).toEqual({ ...first, ...change });
      expect(await store.templates.update(id(), change)).toBeUndefined();
      expect(await store.templates.list()).toEqual([{ ...first, ...change }]);
      expect(await store.templates.delete(first.name)).toBe(true);
      expect(await store.templates.get(first.name)).toBeUndefined();
    });

    test("a worker is written over under its id, with its first time kept", async () => {
      const worker = {
        id: id(),
        hostname: "one",
        status: "online",
        providers: ["oci"],
        capabilities: ["exec"],
        capacity: { max_sandboxes: 10, labels: { zone: "a" } },
        lastHeartbeatMs: start,
        updatedAtMs: start,
      };
      expect(await store.workers.upsert(worker)).toEqual({ ...worker, createdAtMs: start });
      const later = { ...worker, status: "draining", lastHeartbeatMs: start + 5, updatedAtMs: start + 5 };
      expect(await store.workers.upsert(later)).toEqual({ ...later, createdAtMs: start });
      expect(await store.workers.list()).toEqual([{ ...later, createdAtMs: start }]);
      expect(await store.workers.delete(worker.id)).toBe(true);
      expect(await store.workers.get(worker.id)).toBeUndefined();
    });

    test("a sandbox has one key for its files' links, whoever asks first, until it is deleted or its row is purged", async () => {
      const { fileLinkKeys, sandboxes } = store;
      const record = sandboxRecord({ state: "destroyed", updatedAtMs: start });
      await sandboxes.insert(record);
      expect(await fileLinkKeys.get(record.id)).toBeUndefined();
      const keys = await Promise.all(["a", "b", "c"].map((key) => fileLinkKeys.ensure(record.id, key, start)));
      expect(new Set(keys).size).toBe(1);
      expect(await fileLinkKeys.get(record.id)).toBe(keys[0]);
      expect([await fileLinkKeys.delete(record.id), await fileLinkKeys.delete(record.id)]).toEqual([true, false]);
      expect(await fileLinkKeys.ensure(record.id, "d", start)).toBe("d");
      await sandboxes.purgeDestroyed(start + 1, 1_000);
      expect(await fileLinkKeys.get(record.id)).toBeUndefined();
    });

    test("audit records are kept in batches of any size and listed newest first", async () => {
      await store.audit.record([]);
      const rows = Array.from({ length: 1_234 }, (_, n) => audit({ detail: String(n), createdAtMs: start + n }));
      await store.audit.record(rows);
      await store.audit.record([audit({ detail: "last", status: "failure", createdAtMs: start + 1_233 })]);
      const listed = await store.audit.list(3);
      expect(listed.map((row) => row.detail)).toEqual(["last", "1233", "1232"]);
      expect(listed[0]).toMatchObject({ ...audit({ detail: "last", status: "failure", createdAtMs: start + 1_233 }) });
      expect(await store.audit.list(10_000)).toHaveLength(1_235);
    });

    test("a value that the column can't hold is an internal error without the driver's words", async () => {
      const failure = await store.sandboxes.insert(sandboxRecord({ memoryMb: 0.5 })).catch((error: unknown) => error);
      expect(failure).toMatchObject({ reason: "internal", message: "the database refused a statement" });
    });

    test("a closed store says that it does not answer", async () => {
      const own = await createStore({ database, nowMs: start });
      await own.ping();
      await own[Symbol.asyncDispose]();
      for (const call of [
        () => own.ping(),
        () => own.sandboxes.get("x"),
        () => own.sandboxes.insert(sandboxRecord()),
      ]) {
        await expect(call()).rejects.toMatchObject({ reason: "store_unavailable" });
      }
    });
  });
};
