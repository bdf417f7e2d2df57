import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { capsHold } from "./admission-contract.ts";
import { apiKeysAreKept } from "./api-key-contract.ts";
import { createStore } from "./create-store.ts";
import { leasesExcludeEachOther } from "./lease-contract.ts";
import { migrations } from "./migrations/all.ts";
import type { DatabaseLocation } from "./open-database.ts";
import { registryCredentialsAreKept } from "./registry-credential-contract.ts";
import { sandboxesAreKept } from "./sandbox-contract.ts";
import { sandboxRecord } from "./sandbox-record.testing.ts";
import { secretsAreKept } from "./secret-contract.ts";
import { sessionsAreKept } from "./session-contract.ts";
import { specsAreKept } from "./spec-contract.ts";
import type { OperationAudit, Store } from "./store.ts";
import { inProcess } from "./store-process.testing.ts";
import { template } from "./template-record.testing.ts";
import { tenantsAreWalls } from "./tenant-contract.ts";

const id = (): string => `sb-${randomBytes(8).toString("hex")}`;
const start = 1_790_000_000_000;

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

    sandboxesAreKept(() => store);

    capsHold(() => store, freshDatabase);

    specsAreKept(() => store, freshDatabase);

    tenantsAreWalls(freshDatabase);
    apiKeysAreKept(() => store);

    registryCredentialsAreKept(() => store);
    secretsAreKept(() => store);
    sessionsAreKept(() => store);

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
      const quota = {
        tenantId: "",
        ownerId,
        maxSandboxes: 3,
        maxTtlMs: 60_000,
        maxExecTimeoutMs: 0,
        updatedAtMs: start,
      };
      expect(await store.quotas.save(quota)).toEqual({ ...quota, createdAtMs: start });
      const replaced = await store.quotas.save({ ...quota, maxSandboxes: 0, updatedAtMs: start + 1 });
      expect(replaced).toEqual({ ...quota, maxSandboxes: 0, createdAtMs: start, updatedAtMs: start + 1 });
      expect(await store.quotas.get("", ownerId)).toEqual(replaced);
      for (const name of ["B", "_", "a"]) await store.quotas.save({ ...quota, ownerId: `${ownerId}${name}` });
      const owners = (await store.quotas.list("")).map((item) => item.ownerId);
      expect(owners).toEqual([ownerId, `${ownerId}B`, `${ownerId}_`, `${ownerId}a`]);
      expect(await store.quotas.delete("", ownerId)).toBe(true);
      expect(await store.quotas.delete("", ownerId)).toBe(false);
      expect(await store.quotas.get("", ownerId)).toBeUndefined();
    });

    test("a template is inserted once, changed where it exists, listed by name and deleted", async () => {
      const first = template();
      await store.templates.insert(first);
      await expect(store.templates.insert(first)).rejects.toMatchObject({
        message: "conflict: template already exists",
      });
      expect(await store.templates.get(first, first.name)).toEqual(first);
      const change = { version: 2, env: {}, secrets: [], updatedAtMs: start + 1 };
      expect(await store.templates.update(first, first.name, change)).toEqual({ ...first, ...change });
      expect(await store.templates.update(first, id(), change)).toBeUndefined();
      expect(await store.templates.list(first)).toEqual([{ ...first, ...change }]);
      expect(await store.templates.delete(first, first.name)).toBe(true);
      expect(await store.templates.get(first, first.name)).toBeUndefined();
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
