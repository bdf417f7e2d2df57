import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { expect } from "vitest";
import type { Lease, LeaseStore } from "./store.ts";

type Action = "acquire" | "renew" | "renew with an old lease" | "renewAll" | "release";

/** What happens at one moment: each holder does at most one thing, all at once. */
interface Moment {
  readonly passesMs: number;
  readonly actions: Readonly<Record<string, Action | undefined>>;
}

const holders = ["a", "b", "c"];
const ttlMs = 100;

const moment: fc.Arbitrary<Moment> = fc.record({
  passesMs: fc.constantFrom(0, 1, 50, 99, 100, 101, 250),
  actions: fc.dictionary(
    fc.constantFrom(...holders),
    fc.constantFrom<Action[]>("acquire", "acquire", "renew", "renew with an old lease", "renewAll", "release"),
  ),
});

/** Each holder's own belief, told by nothing but the store's answers, must never overlap another's. */
export const leasesExcludeEachOther = async (leases: LeaseStore): Promise<void> => {
  const run = async (moments: readonly Moment[]): Promise<void> => {
    // Holders are new as well: renewAll reaches over resources.
    const name = randomUUID();
    const resourceId = `resource-${name}`;
    const believed = new Map<string, Lease>();
    const granted: Lease[] = [];
    let nowMs = 1_000;

    const act = async (holder: string, action: Action): Promise<void> => {
      const holderId = `${holder}-${name}`;
      const own = believed.get(holder);
      const request = { resourceId, resourceType: "sandbox", holderId, ttlMs, nowMs };
      const old = granted.find((lease) => lease.holderId === holderId);
      let lease: Lease | undefined;
      if (action === "acquire") lease = await leases.acquire(request);
      if (action === "renew" && own !== undefined) lease = await leases.renew(own, ttlMs, nowMs);
      if (action === "renew with an old lease" && old !== undefined) lease = await leases.renew(old, ttlMs, nowMs);
      if (action === "renewAll" && (await leases.renewAll(holderId, ttlMs, nowMs)) > 0) {
        lease = await leases.get(resourceId);
        expect(lease).toMatchObject({ holderId, expiresAtMs: nowMs + ttlMs });
      }
      if (action === "release" && own !== undefined && (await leases.release(own))) believed.delete(holder);
      if (lease === undefined) return;
      expect(lease).toMatchObject({ resourceId, holderId, expiresAtMs: nowMs + ttlMs });
      believed.set(holder, lease);
      granted.push(lease);
    };

    let highest = 0;
    for (const { passesMs, actions } of moments) {
      nowMs += passesMs;
      const aliveBefore = [...believed.values()].some((lease) => lease.expiresAtMs > nowMs);
      const seenBefore = granted.length;
      await Promise.all(Object.entries(actions).map(([holder, action]) => action && act(holder, action)));

      const alive = [...believed.values()].filter((lease) => lease.expiresAtMs > nowMs);
      expect(alive.length).toBeLessThanOrEqual(1);
      const fresh = granted.slice(seenBefore).map((lease) => lease.generation);
      for (const generation of fresh) expect(generation).toBeGreaterThanOrEqual(highest);
      highest = Math.max(highest, ...fresh);
      if (!aliveBefore && Object.values(actions).includes("acquire")) expect(fresh).not.toEqual([]);
      // One generation never names two holders.
      const holderOf = new Map<number, string>();
      for (const lease of granted) {
        expect(holderOf.get(lease.generation) ?? lease.holderId).toBe(lease.holderId);
        holderOf.set(lease.generation, lease.holderId);
      }
    }
  };
  await fc.assert(fc.asyncProperty(fc.array(moment, { maxLength: 25 }), run), { numRuns: 100 });
};
