import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { SandboxRecord, SandboxSummary } from "../sandbox/sandbox.ts";
import { sandboxRecord } from "./sandbox-record.testing.ts";
import type { Store } from "./store.ts";

const id = (): string => `sb-${randomBytes(8).toString("hex")}`;
const start = 1_790_000_000_000;

/** The rows of sandboxes are kept, found and changed alike in both databases. */
export const sandboxesAreKept = (opened: () => Store): void => {
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
        networkMode: "egress",
        network: {
          mode: "allowlist",
          allow: ["GET api.example.com:443/v1/*"],
          deny: ["*.example.org"],
          inject: [{ host: "api.example.com", header: "Authorization", secret: "NAME", value: "Bearer {secret}" }],
        },
        secrets: ["NAME@api.example.com:443"],
      });
      await opened().sandboxes.insert(record);
      const found = await opened().sandboxes.get(record.id);
      expect(found).toEqual(record);
      expect(Object.keys(found?.metadata ?? {})).toContain("__proto__");
    });

    test("refuse an id that is taken, and keep the first", async () => {
      const record = sandboxRecord();
      await opened().sandboxes.insert(record);
      await expect(opened().sandboxes.insert({ ...record, image: "other" })).rejects.toMatchObject({
        reason: "already_exists",
        message: "conflict: sandbox already exists",
      });
      expect(await opened().sandboxes.get(record.id)).toEqual(record);
    });

    test("are undefined where there is none", async () => {
      expect(await opened().sandboxes.get(id())).toBeUndefined();
      expect(await opened().sandboxes.transition(id(), ["running"], { state: "error" })).toBeUndefined();
    });

    test("are listed newest first, each exactly once over all pages, also where times are equal", async () => {
      const ownerId = id();
      const records = Array.from({ length: 23 }, (_, n) =>
        sandboxRecord({ ownerId, createdAtMs: start + Math.floor(n / 5) }),
      );
      for (const record of records) await opened().sandboxes.insert(record);
      const seen: SandboxSummary[] = [];
      for (;;) {
        const last = seen.at(-1);
        const page = await opened().sandboxes.listSummaries(
          { ownerId },
          { limit: 4, ...(last && { after: { value: last.createdAtMs, id: last.id } }) },
        );
        if (page.length === 0) break;
        seen.push(...page);
      }
      const expected = records.toSorted((a, b) => b.createdAtMs - a.createdAtMs || (a.id < b.id ? 1 : -1));
      expect(expected).toMatchObject(seen);
      expect(seen).toHaveLength(expected.length);
      expect(await opened().sandboxes.list({ ownerId })).toEqual(expected);
    });

    test("are filtered by state, provider, owner, tenant, worker and image; destroyed ones show only when named", async () => {
      const ownerId = id();
      const tenantId = id();
      const insert = async (change: Partial<SandboxRecord>): Promise<string> => {
        const record = sandboxRecord({ ownerId, ...change });
        await opened().sandboxes.insert(record);
        return record.id;
      };
      const plain = await insert({});
      const other = await insert({ provider: "oci", tenantId });
      const gone = await insert({ state: "destroyed", tenantId });
      const ownerOfOne = id();
      const one = await insert({ ownerId: ownerOfOne, workerId: "elsewhere", imageDigest: "sha256:other" });
      await insert({ ownerId: ownerOfOne });
      const ids = async (filter: Parameters<Store["sandboxes"]["list"]>[0]): Promise<string[]> =>
        (await opened().sandboxes.list(filter)).map((record) => record.id).toSorted();
      expect(await ids({ ownerId })).toEqual([plain, other].toSorted());
      expect(await ids({ ownerId, provider: "oci" })).toEqual([other]);
      expect(await ids({ tenantId })).toEqual([other]);
      expect(await ids({ ownerId, states: ["destroyed"] })).toEqual([gone]);
      expect(await ids({ ownerId, states: ["destroyed", "running"], tenantId })).toEqual([gone, other].toSorted());
      expect(await ids({ ownerId, states: [] })).toEqual([]);
      expect(await ids({ ownerId: ownerOfOne, workerId: "elsewhere" })).toEqual([one]);
      expect(await ids({ ownerId: ownerOfOne, imageDigest: "sha256:other" })).toEqual([one]);
      expect(await opened().sandboxes.count({ ownerId })).toBe(2);
      expect(await opened().sandboxes.count({ ownerId, states: ["destroyed", "running"] })).toBe(2);
      expect(await ids({ ownerId: "' or 1=1 --" })).toEqual([]);
    });

    test("change only from a state that was named, and only under the generation that was named", async () => {
      const record = sandboxRecord({ generation: 4 });
      await opened().sandboxes.insert(record);
      const change = {
        state: "destroying",
        generation: 5,
        stateDeadlineMs: start + 5,
        metadata: { a: "b" },
      } as const;
      expect(await opened().sandboxes.transition(record.id, ["creating", "error"], change)).toBeUndefined();
      expect(await opened().sandboxes.transition(record.id, [], change)).toBeUndefined();
      expect(await opened().sandboxes.transition(record.id, ["running"], change, 3)).toBeUndefined();
      expect(await opened().sandboxes.get(record.id)).toEqual(record);
      const changed = await opened().sandboxes.transition(record.id, ["running"], change, 4);
      expect(changed).toEqual({ ...record, ...change });
      expect(await opened().sandboxes.get(record.id)).toEqual(changed);
      expect(await opened().sandboxes.transition(record.id, ["destroying"], {})).toEqual(changed);
    });

    test("let exactly one of many concurrent transitions through", async () => {
      const record = sandboxRecord();
      await opened().sandboxes.insert(record);
      const outcomes = await Promise.all(
        Array.from({ length: 20 }, () =>
          opened().sandboxes.transition(record.id, ["running"], { state: "destroying", updatedAtMs: start + 1 }),
        ),
      );
      expect(outcomes.filter((outcome) => outcome !== undefined)).toHaveLength(1);
    });

    test("renew an expiry only from the value that was seen, and never one that has passed", async () => {
      const record = sandboxRecord({ expiresAtMs: start + 100 });
      await opened().sandboxes.insert(record);
      const renew = (seen: number, now: number) =>
        opened().sandboxes.renewExpiry(record.id, { expiresAtMs: seen }, start + 900, now);
      expect(await renew(start + 99, start)).toBeUndefined();
      expect(await renew(start + 100, start + 100)).toBeUndefined();
      expect(await renew(start + 100, start + 99)).toEqual({
        ...record,
        expiresAtMs: start + 900,
        updatedAtMs: start + 99,
      });
      await opened().sandboxes.transition(record.id, ["running"], { state: "destroying" });
      expect(await renew(start + 900, start)).toBeUndefined();
    });

    test("that have expired are listed oldest first, without those already going or not yet come", async () => {
      const provider = id();
      const insert = async (change: Partial<SandboxRecord>): Promise<SandboxRecord> => {
        const record = sandboxRecord({ provider, ...change });
        await opened().sandboxes.insert(record);
        return record;
      };
      const late = await insert({ expiresAtMs: 20, state: "error" });
      const early = await insert({ expiresAtMs: 10 });
      await insert({ expiresAtMs: 21 });
      for (const state of ["creating", "destroying", "destroyed"] as const) await insert({ expiresAtMs: 5, state });
      expect(await opened().sandboxes.listExpired(20, 100)).toEqual([early, late]);
      expect(await opened().sandboxes.listExpired(20, 1)).toEqual([early]);
      expect(await opened().sandboxes.listExpired(9, 100)).toEqual([]);
    });

    test("past the deadline of their state are listed, oldest deadline first", async () => {
      const slow = sandboxRecord({ state: "creating", stateDeadlineMs: 20 });
      const slower = sandboxRecord({ state: "destroying", stateDeadlineMs: 10 });
      for (const record of [slow, slower, sandboxRecord(), sandboxRecord({ stateDeadlineMs: 21 })]) {
        await opened().sandboxes.insert(record);
      }
      expect(await opened().sandboxes.listOverdue(20, 100)).toEqual([slower, slow]);
      expect(await opened().sandboxes.listOverdue(20, 1)).toEqual([slower]);
    });

    test("are counted by state, and the living by provider and worker", async () => {
      const provider = id();
      const workerId = id();
      await opened().sandboxes.insert(sandboxRecord({ provider, workerId }));
      await opened().sandboxes.insert(sandboxRecord({ provider, workerId, state: "unhealthy" }));
      await opened().sandboxes.insert(sandboxRecord({ provider, workerId, state: "destroyed" }));
      expect(await opened().sandboxes.countByState()).toMatchObject({ unhealthy: 1 });
      expect((await opened().sandboxes.countByState()).destroyed).toBeGreaterThan(0);
      expect((await opened().sandboxes.countByProvider())[provider]).toBe(2);
      expect((await opened().sandboxes.countByWorker())[workerId]).toBe(2);
      expect(await opened().sandboxes.diskMb(provider)).toBe(2 * sandboxRecord({}).diskMb);
      expect(await opened().sandboxes.diskMb(id())).toBe(0);
    });

    test("are purged only when destroyed for long enough, their leases with them", async () => {
      const old = sandboxRecord({ state: "destroyed", updatedAtMs: 10 });
      const recent = sandboxRecord({ state: "destroyed", updatedAtMs: 20 });
      const alive = sandboxRecord({ updatedAtMs: 10 });
      for (const record of [old, recent, alive]) {
        await opened().sandboxes.insert(record);
        const request = { resourceId: record.id, resourceType: "sandbox", holderId: "a", ttlMs: 1, nowMs: 1 };
        await opened().leases.acquire(request);
      }
      expect(await opened().sandboxes.purgeDestroyed(20, 100)).toBe(1);
      expect(await opened().sandboxes.get(old.id)).toBeUndefined();
      expect(await opened().leases.get(old.id)).toBeUndefined();
      for (const record of [recent, alive]) {
        expect(await opened().sandboxes.get(record.id)).toEqual(record);
        expect(await opened().leases.get(record.id)).toBeDefined();
      }
      expect(await opened().sandboxes.purgeDestroyed(20, 100)).toBe(0);
    });
  });
};
