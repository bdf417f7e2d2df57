import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { SandboxRecord } from "../sandbox/sandbox.ts";
import type { Place } from "../sandbox/scope.ts";
import { apiKey } from "./api-key-record.testing.ts";
import { createStore } from "./create-store.ts";
import { migrate } from "./migrate.ts";
import { migrations } from "./migrations/all.ts";
import { type DatabaseLocation, openDatabase } from "./open-database.ts";
import { sandboxRecord } from "./sandbox-record.testing.ts";
import type { ApiKeyRecord, Store } from "./store.ts";
import { template } from "./template-record.testing.ts";

const start = 1_790_000_000_000;
const word = (): string => randomBytes(8).toString("hex");
const noCaps = { maxSandboxes: 0, maxOwnerSandboxes: 0 };
const times = { createdAtMs: start, updatedAtMs: start };
const none: Place = { tenantId: "", projectId: "" };

/** Tenants and projects are walls in both databases, from the first tenant on. */
export const tenantsAreWalls = (freshDatabase: () => Promise<DatabaseLocation>): void => {
  describe("tenants", () => {
    let store: Store;
    beforeAll(async () => {
      store = await createStore({ database: await freshDatabase(), nowMs: start });
    }, 60_000);
    afterAll(async () => {
      await store?.[Symbol.asyncDispose]();
    });

    /** A tenant with one project. */
    const tenant = async (): Promise<Place> => {
      const place = { tenantId: `t-${word()}`, projectId: `p-${word()}` };
      await store.tenants.insert({ id: place.tenantId, name: "Acme", ownerId: "", settings: "{}", ...times });
      await store.tenants.insertProject({ tenantId: place.tenantId, id: place.projectId, name: "web", ...times });
      return place;
    };
    const admit = async (change: Partial<SandboxRecord>): Promise<SandboxRecord> => {
      const record = sandboxRecord(change);
      expect(await store.admitAndInsert(record, noCaps)).toBeUndefined();
      return record;
    };

    test("are labels until there is one, and from then on nothing is made in one that there is not", async () => {
      await using own = await createStore({ database: await freshDatabase(), nowMs: start });
      expect(await own.tenants.any()).toBe(false);
      const labelled = { tenantId: "label", projectId: "label" };
      expect(await own.admitAndInsert(sandboxRecord(labelled), noCaps)).toBeUndefined();
      await own.tenants.insert({ id: "acme", name: "Acme", ownerId: "", settings: "{}", ...times });
      expect(await own.tenants.any()).toBe(true);
      const missing = { tenantId: "acme", projectId: "missing" };
      for (const [place, reason] of [
        [labelled, "tenant_not_found"],
        [missing, "project_not_found"],
      ] as const) {
        await expect(own.admitAndInsert(sandboxRecord(place), noCaps)).rejects.toMatchObject({ reason });
        await expect(own.templates.insert(template(place))).rejects.toMatchObject({ reason });
        await expect(own.apiKeys.insert(apiKey(place))).rejects.toMatchObject({ reason });
      }
      expect(await own.sandboxes.count(missing)).toBe(0);
      expect(await own.templates.list()).toEqual([]);
      expect(await own.apiKeys.list()).toEqual([]);
    });

    test("a sandbox is found within its tenant and its project, and nowhere else", async () => {
      const [place, other] = [await tenant(), await tenant()];
      const { tenantId, projectId } = place;
      const record = await admit({ ...place, expiresAtMs: start });
      for (const scope of [{}, { tenantId }, place]) {
        expect(await store.sandboxes.get(record.id, scope)).toEqual(record);
        expect((await store.sandboxes.list(scope)).map(({ id }) => id)).toContain(record.id);
        expect((await store.sandboxes.listExpired(start, 100, scope)).map(({ id }) => id)).toContain(record.id);
      }
      for (const scope of [none, { tenantId: "" }, other, { ...other, projectId }, { tenantId, projectId: "" }]) {
        expect(await store.sandboxes.get(record.id, scope)).toBeUndefined();
        expect((await store.sandboxes.list(scope)).map(({ id }) => id)).not.toContain(record.id);
        expect((await store.sandboxes.listSummaries(scope)).map(({ id }) => id)).not.toContain(record.id);
        expect((await store.sandboxes.listExpired(start, 100, scope)).map(({ id }) => id)).not.toContain(record.id);
      }
    });

    test("names, owners' caps, quotas and templates are each place's own", async () => {
      const [one, two] = [await tenant(), await tenant()];
      const places = [one, { ...one, projectId: "" }, two, none];
      for (const place of places) {
        await admit({ ...place, ownerId: "ann", name: "box" });
        await store.templates.insert(template({ ...place, name: "web", image: JSON.stringify(place) }));
      }
      for (const place of places) {
        expect((await store.templates.get(place, "web"))?.image).toBe(JSON.stringify(place));
        expect(await store.templates.list(place)).toHaveLength(1);
      }
      const capped = { maxSandboxes: 0, maxOwnerSandboxes: 2 };
      const ann = { ownerId: "ann" };
      expect(await store.admitAndInsert(sandboxRecord({ ...one, ...ann }), capped)).toMatchObject({ used: 2 });
      expect(await store.admitAndInsert(sandboxRecord({ ...two, ...ann }), capped)).toBeUndefined();

      await store.templates.update(two, "web", { image: "changed" });
      expect(await store.templates.delete(one, "web")).toBe(true);
      expect((await store.templates.get(two, "web"))?.image).toBe("changed");
      expect((await store.templates.get(none, "web"))?.image).toBe(JSON.stringify(none));
      const quota = { ownerId: "ann", maxTtlMs: 0, maxExecTimeoutMs: 0, updatedAtMs: start };
      await store.quotas.save({ ...quota, tenantId: one.tenantId, maxSandboxes: 1 });
      await store.quotas.save({ ...quota, tenantId: two.tenantId, maxSandboxes: 2 });
      expect((await store.quotas.get(one.tenantId, "ann"))?.maxSandboxes).toBe(1);
      expect(await store.quotas.get("", "ann")).toBeUndefined();
      expect(await store.quotas.delete(one.tenantId, "ann")).toBe(true);
      expect(await store.quotas.list(two.tenantId)).toMatchObject([{ ownerId: "ann", maxSandboxes: 2 }]);
    });

    test("members are of an issuer; the last role in a tenant takes their own keys with it", async () => {
      const place = await tenant();
      const { tenantId } = place;
      const [ann, other] = [
        { issuer: "https://a", userId: word() },
        { issuer: "https://b", userId: word() },
      ];
      const member = { ...ann, tenantId, projectId: "", role: "viewer", updatedAtMs: start };
      expect(await store.tenants.saveMember(member)).toEqual({ ...member, createdAtMs: start });
      await store.tenants.saveMember({ ...member, role: "operator", updatedAtMs: start + 1 });
      await store.tenants.saveMember({ ...member, ...place, role: "admin", updatedAtMs: start + 2 });
      expect(await store.tenants.listMembers(tenantId)).toMatchObject([
        { role: "operator", createdAtMs: start, updatedAtMs: start + 1 },
        { role: "admin", projectId: place.projectId },
      ]);
      expect(await store.tenants.membershipsOf({ ...ann, issuer: other.issuer })).toEqual([]);
      expect(await store.tenants.membershipsOf(ann)).toHaveLength(2);
      for (const nowhere of [{ tenantId: "missing" }, { projectId: "missing" }]) {
        expect(await store.tenants.saveMember({ ...member, ...nowhere })).toBeUndefined();
      }

      const own = apiKey({ tenantId, projectId: "", memberIssuer: ann.issuer, memberId: ann.userId });
      const program = apiKey({ tenantId, projectId: "" });
      for (const key of [own, program]) await store.apiKeys.insert(key);
      expect(await store.apiKeys.list({ tenantId, memberIssuer: ann.issuer, memberId: ann.userId })).toEqual([own]);
      expect(await store.apiKeys.revoke(own.id, start, { tenantId: "other" })).toBeUndefined();
      const revokedAt = async ({ digest }: ApiKeyRecord) => (await store.apiKeys.findByDigest(digest))?.revokedAtMs;
      expect(await store.tenants.deleteMember({ ...ann, ...place }, start + 3)).toBe(true);
      expect(await revokedAt(own)).toBe(0);
      expect(await store.tenants.deleteMember({ ...ann, tenantId, projectId: "" }, start + 4)).toBe(true);
      expect(await store.tenants.deleteMember({ ...ann, tenantId, projectId: "" }, start + 5)).toBe(false);
      expect([await revokedAt(own), await revokedAt(program)]).toEqual([start + 4, 0]);
    });

    test("an id that is taken is told as what it is", async () => {
      const { tenantId, projectId } = await tenant();
      const again = { id: tenantId, name: "Acme", ownerId: "", settings: "{}", ...times };
      const taken = (noun: string) => ({ reason: "already_exists", message: `conflict: ${noun} already exists` });
      await expect(store.tenants.insert(again)).rejects.toMatchObject(taken("tenant"));
      const project = { tenantId, id: projectId, name: "web", ...times };
      await expect(store.tenants.insertProject(project)).rejects.toMatchObject(taken("project"));
    });

    test("one is deleted once nothing of it is left, and while it is being deleted nothing new is made in it", async () => {
      const place = await tenant();
      const { tenantId, projectId } = place;
      const [record, key] = [await admit(place), apiKey(place)];
      await store.templates.insert(template(place));
      await store.apiKeys.insert(key);
      const used = { sandboxes: 1, templates: 1, apiKeys: 1 };
      expect(await store.tenants.delete(tenantId)).toEqual(used);
      expect(await store.tenants.deleteProject(tenantId, projectId)).toEqual(used);
      expect(await store.tenants.get(tenantId)).toMatchObject({ deletingAtMs: 0 });

      expect(await store.tenants.markDeleting(tenantId, start + 1)).toBe(true);
      expect(await store.tenants.markDeleting(tenantId, start + 2)).toBe(true);
      expect(await store.tenants.markDeleting("missing", start)).toBe(false);
      expect(await store.tenants.get(tenantId)).toMatchObject({ deletingAtMs: start + 1 });
      const refusal = { reason: "state_conflict" };
      await expect(store.admitAndInsert(sandboxRecord(place), noCaps)).rejects.toMatchObject(refusal);
      await expect(store.templates.insert(template({ ...place, name: "new" }))).rejects.toMatchObject(refusal);
      await expect(store.apiKeys.insert(apiKey(place))).rejects.toMatchObject(refusal);
      expect(await store.tenants.insertProject({ tenantId, id: "new", name: "", ...times })).toBeUndefined();

      await store.tenants.emptyRows(tenantId, start + 3);
      expect((await store.apiKeys.findByDigest(key.digest))?.revokedAtMs).toBe(start + 3);
      expect(await store.tenants.delete(tenantId)).toEqual({ sandboxes: 1, templates: 0, apiKeys: 0 });
      await store.sandboxes.transition(record.id, ["running"], { state: "destroyed" });
      expect(await store.tenants.delete(tenantId)).toBe("deleted");
      expect(await store.tenants.delete(tenantId)).toBe("not_found");
      expect(await store.tenants.listProjects(tenantId)).toEqual([]);
      expect(await store.apiKeys.findByDigest(key.digest)).toBeUndefined();
    });

    test("a spawn and a deletion at once leave no sandbox in no tenant", async () => {
      for (let round = 0; round < 10; round += 1) {
        const { tenantId } = await tenant();
        const spawns = Array.from({ length: 4 }, () => sandboxRecord({ tenantId }));
        const [deleted, ...outcomes] = await Promise.allSettled([
          store.tenants.delete(tenantId),
          ...spawns.map((record) => store.admitAndInsert(record, noCaps)),
        ]);
        const made = outcomes.filter(({ status }) => status === "fulfilled").length;
        expect(await store.sandboxes.count({ tenantId })).toBe(made);
        const isGone = deleted?.status === "fulfilled" && deleted.value === "deleted";
        expect(isGone ? made : Math.min(made, 1)).toBe(isGone ? 0 : 1);
      }
    });

    test("what an older database holds is of no tenant, and stays whole", async () => {
      const location = await freshDatabase();
      const old = openDatabase(location);
      await migrate(old, migrations.slice(0, 5), start);
      const quota = { owner_id: "ann", max_sandboxes: 3, max_ttl_ms: 0, max_exec_timeout_ms: 0 };
      await old.queries
        .insertInto("owner_quotas")
        .values({ ...quota, created_at: start, updated_at: start } as never)
        .execute();
      const row = template({ name: "web", setup: [], allowedHosts: [], env: {}, secrets: [] });
      await old.queries
        .insertInto("templates")
        .values({
          name: row.name,
          version: 1,
          image: row.image,
          description: "",
          setup: "[]",
          allowed_hosts: "[]",
          memory_mb: 512,
          cpu_cores: 1,
          ttl_seconds: 300,
          env: "{}",
          secrets: "[]",
          pool_size: 0,
          provider: "",
          metadata: "{}",
          created_at: start,
          updated_at: start,
        } as never)
        .execute();
      await using migrated = await createStore({ database: location, nowMs: start });
      expect(await migrated.templates.list(none)).toEqual([row]);
      expect(await migrated.quotas.get("", "ann")).toMatchObject({ maxSandboxes: 3, tenantId: "" });
      await old.queries.destroy();
    });
  });
};
