import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { Place } from "../sandbox/scope.ts";
import type { NewSecret, SecretRef } from "./secret-store.ts";
import type { Store } from "./store.ts";

const start = 1_790_000_000_000;
const hex = (bytes: number): string => randomBytes(bytes).toString("hex");
const max = 1_000;

/** Secrets are kept alike in both databases. */
export const secretsAreKept = (opened: () => Store): void => {
  describe("secrets", () => {
    const tenant = async (): Promise<Place> => {
      const [tenantId, projectId, times] = [`t-${hex(4)}`, `p-${hex(4)}`, { createdAtMs: start, updatedAtMs: start }];
      const { tenants } = opened();
      await tenants.insert({ id: tenantId, name: tenantId, ownerId: "", settings: "{}", ...times });
      await tenants.insertProject({ tenantId, id: projectId, name: projectId, ...times });
      return { tenantId, projectId };
    };
    const secret = (place: Place, name: string, change: Partial<NewSecret> = {}): NewSecret => ({
      ...{ ...place, name, sealed: hex(20), hosts: ["api.test:443"], owners: ["ann"], createdBy: "bob", nowMs: start },
      ...change,
    });

    test("one is its place's alone; saved again it is the next version, with its maker and its first time", async () => {
      const { secrets } = opened();
      const own = await tenant();
      const whole = { ...own, projectId: "" };
      const { nowMs, ...content } = secret(own, "KEY");
      const first = await secrets.save({ ...content, nowMs }, max);
      const times = { createdAtMs: start, updatedAtMs: start, lastUsedAtMs: 0 };
      expect(first).toEqual({ ...content, ...times, version: 1 });
      expect(await secrets.find(own, "KEY")).toEqual(first);
      for (const place of [whole, { tenantId: "", projectId: "" }, await tenant()]) {
        expect(await secrets.find(place, "KEY")).toBeUndefined();
        expect(await secrets.list(place)).not.toContainEqual(first);
        expect(await secrets.delete(place, "KEY")).toBe(false);
      }
      const next = secret(own, "KEY", { hosts: ["b.test:8443"], owners: [], createdBy: "eve", nowMs: start + 5 });
      await secrets.touch(own, "KEY", start + 3);
      const { createdBy: _, nowMs: __, ...changed } = next;
      const second = { ...first, ...changed, version: 2, updatedAtMs: start + 5, lastUsedAtMs: start + 3 };
      expect(await secrets.save(next, max)).toEqual(second);
      const wide = await secrets.save(secret(whole, "KEY"), max);
      for (const name of ["b", "_", "B"]) await secrets.save(secret(own, name), max);
      expect((await secrets.list(own)).map(({ name }) => name)).toEqual(["B", "KEY", "_", "b"]);
      expect(await secrets.list(whole)).toEqual([wide]);
      expect([await secrets.delete(own, "KEY"), await secrets.delete(own, "KEY")]).toEqual([true, false]);
      expect(await secrets.find(whole, "KEY")).toEqual(wide);
    });

    test("savings at once are versions of their own, and together they don't pass what a place may have", async () => {
      const { secrets } = opened();
      const own = await tenant();
      const saved = await Promise.all(Array.from({ length: 8 }, () => secrets.save(secret(own, "KEY"), max)));
      expect(saved.map(({ version }) => version).toSorted()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
      const last = saved.find(({ version }) => version === 8);
      expect(await secrets.find(own, "KEY")).toEqual(last);
      const many = Array.from({ length: 8 }, (_, at) => secrets.save(secret(own, `KEY_${at}`), 4));
      const outcomes = await Promise.allSettled(many);
      const refused = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason] : []));
      expect(refused).toHaveLength(5);
      for (const error of refused) expect(error).toMatchObject({ reason: "too_many_secrets" });
      expect(await secrets.list(own)).toHaveLength(4);
      expect(await secrets.save(secret(own, "KEY"), 4)).toMatchObject({ version: 9 });
    });

    test("nothing is kept where there is no such place, and all of it ends with its project and its tenant", async () => {
      const { secrets, tenants } = opened();
      const own = await tenant();
      const whole = { ...own, projectId: "" };
      for (const [change, reason] of [
        [{ tenantId: "missing" }, "tenant_not_found"],
        [{ projectId: "missing" }, "project_not_found"],
      ] as const) {
        await expect(secrets.save(secret({ ...own, ...change }, "KEY"), max)).rejects.toMatchObject({ reason });
      }
      for (const place of [own, whole]) await secrets.save(secret(place, "KEY"), max);
      expect(await tenants.deleteProject(own.tenantId, own.projectId)).toBe("deleted");
      expect([await secrets.list(own), (await secrets.list(whole)).length]).toEqual([[], 1]);
      await tenants.markDeleting(own.tenantId, start);
      await expect(secrets.save(secret(whole, "KEY"), max)).rejects.toMatchObject({ reason: "state_conflict" });
      expect(await tenants.delete(own.tenantId)).toBe("deleted");
      expect(await secrets.list(whole)).toEqual([]);
    });

    test("a use is noted, and never goes back", async () => {
      const { secrets } = opened();
      const own = await tenant();
      await secrets.save(secret(own, "KEY"), max);
      for (const atMs of [start + 9, start + 4]) await secrets.touch(own, "KEY", atMs);
      await secrets.touch(own, "OTHER", start);
      expect(await secrets.find(own, "KEY")).toMatchObject({ lastUsedAtMs: start + 9, version: 1, updatedAtMs: start });
    });

    test("several are asked for at once, however many, and those that there are come back", async () => {
      const { secrets } = opened();
      const [one, two] = [await tenant(), await tenant()];
      const saved = await Promise.all([one, two].map((place) => secrets.save(secret(place, "KEY"), max)));
      const missing: SecretRef[] = Array.from({ length: 600 }, (_, at) => ({ ...one, name: `NONE_${at}` }));
      const found = await secrets.current([...missing, { ...one, name: "KEY" }, { ...two, name: "KEY" }]);
      expect(
        found.toSorted(
          (a, b) =>
            saved.findIndex((each) => each.tenantId === a.tenantId) -
            saved.findIndex((each) => each.tenantId === b.tenantId),
        ),
      ).toEqual(saved);
      expect(await secrets.current([])).toEqual([]);
    });

    test("all of them are gone through in pages, and sealed anew only as they were read", async () => {
      const { secrets } = opened();
      const [one, two] = [await tenant(), await tenant()];
      const places = [one, { ...one, projectId: "" }, two];
      for (const place of places) for (const name of ["A", "B"]) await secrets.save(secret(place, name), max);
      const seen: SecretRef[] = [];
      for (;;) {
        const page = await secrets.page(seen.at(-1), 4);
        seen.push(...page);
        if (page.length < 4) break;
      }
      const keys = seen.map(({ tenantId, projectId, name }) => JSON.stringify([tenantId, projectId, name]));
      expect(new Set(keys).size).toBe(keys.length);
      for (const { tenantId, projectId } of places) {
        for (const name of ["A", "B"]) expect(keys).toContain(JSON.stringify([tenantId, projectId, name]));
      }
      const before = await secrets.find(two, "A");
      expect(await secrets.replaceSealed({ ...two, name: "A" }, "another", "new")).toBe(false);
      expect(await secrets.find(two, "A")).toEqual(before);
      expect(await secrets.replaceSealed({ ...two, name: "A" }, before?.sealed ?? "", "new")).toBe(true);
      expect(await secrets.find(two, "A")).toEqual({ ...before, sealed: "new" });
    });
  });
};
