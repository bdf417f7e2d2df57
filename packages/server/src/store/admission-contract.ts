import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { createStore } from "./create-store.ts";
import type { DatabaseLocation } from "./open-database.ts";
import { sandboxRecord } from "./sandbox-record.testing.ts";
import type { Store } from "./store.ts";
import { inProcess } from "./store-process.testing.ts";

const id = (): string => `sb-${randomBytes(8).toString("hex")}`;
const start = 1_790_000_000_000;

/** Caps of sandboxes hold in both databases, whoever asks at once. */
export const capsHold = (opened: () => Store, freshDatabase: () => Promise<DatabaseLocation>): void => {
  describe("admission", () => {
    test("names the cap that refused, counts the living only, and takes 0 for no cap", async () => {
      const ownerId = id();
      const admit = (maxOwnerSandboxes: number, maxSandboxes = 0) =>
        opened().admitAndInsert(sandboxRecord({ ownerId }), { maxSandboxes, maxOwnerSandboxes });
      await opened().sandboxes.insert(sandboxRecord({ ownerId, state: "destroyed" }));
      expect(await admit(1)).toBeUndefined();
      expect(await admit(1)).toEqual({ limit: "max_sandboxes_per_owner", used: 1 });
      expect(await admit(2, 1)).toMatchObject({ limit: "max_sandboxes" });
      expect(await admit(0)).toBeUndefined();
      expect(await opened().sandboxes.count({ ownerId })).toBe(2);
    });

    test("leaves no row behind when the id is taken, and the next one still gets in", async () => {
      const record = sandboxRecord({ ownerId: id() });
      const caps = { maxSandboxes: 0, maxOwnerSandboxes: 2 };
      await opened().admitAndInsert(record, caps);
      await expect(opened().admitAndInsert(record, caps)).rejects.toMatchObject({ reason: "already_exists" });
      expect(await opened().admitAndInsert(sandboxRecord({ ownerId: record.ownerId }), caps)).toBeUndefined();
    });

    test("lets exactly 10 of 50 concurrent spawns through a cap of 10", async () => {
      const ownerId = id();
      const outcomes = await Promise.all(
        Array.from({ length: 50 }, () =>
          opened().admitAndInsert(sandboxRecord({ ownerId }), { maxSandboxes: 0, maxOwnerSandboxes: 10 }),
        ),
      );
      expect(outcomes.filter((outcome) => outcome === undefined)).toHaveLength(10);
      expect(await opened().sandboxes.count({ ownerId })).toBe(10);
    });

    test("lets exactly 10 through from two processes at once, by either cap", async () => {
      const location = await freshDatabase();
      await using own = await createStore({ database: location, nowMs: start });
      for (const scope of ["owner", "all"] as const) {
        const ownerId = scope === "owner" ? id() : "";
        const before = await own.sandboxes.count({});
        const caps =
          scope === "owner"
            ? { maxSandboxes: 0, maxOwnerSandboxes: 10 }
            : { maxSandboxes: before + 10, maxOwnerSandboxes: 0 };
        const records = () => Array.from({ length: 25 }, () => sandboxRecord({ ownerId }));
        const admitted = await Promise.all(
          [1, 2].map(() => inProcess({ database: location, nowMs: start, admit: { records: records(), caps } })),
        );
        expect(admitted.reduce((sum, outcome) => sum + outcome.admitted, 0)).toBe(10);
        expect(await own.sandboxes.count({})).toBe(before + 10);
      }
    });
  });
};
