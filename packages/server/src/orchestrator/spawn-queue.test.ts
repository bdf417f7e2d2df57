import { setImmediate } from "node:timers/promises";
import { StacyError } from "@stacyvm/contract";
import fc from "fast-check";
import { expect, test } from "vitest";
import { SpawnQueue } from "./spawn-queue.ts";

const settle = async () => {
  for (let i = 0; i < 20; i += 1) await setImmediate();
};

/** Room for so many; taking answers whether there was room. */
const room = (free: number) => {
  const state = { free, taken: [] as number[], givenBack: 0 };
  return {
    state,
    take: (who: number) => async () => {
      await setImmediate();
      if (state.free === 0) return false;
      state.free -= 1;
      state.taken.push(who);
      return true;
    },
    giveBack: async () => {
      state.givenBack += 1;
      state.free += 1;
    },
  };
};

const never = new AbortController().signal;

test("waiters are served first come, first served, each as soon as something is freed", async () => {
  const queue = new SpawnQueue({ max: 10, timeoutMs: 60_000 });
  const here = room(0);
  const done = [1, 2, 3].map((who) => queue.wait(here.take(who), here.giveBack, never));
  await settle();
  expect(here.state.taken).toEqual([]);
  here.state.free = 2;
  queue.capacityChanged();
  await settle();
  expect(here.state.taken).toEqual([1, 2]);
  here.state.free = 1;
  queue.capacityChanged();
  await Promise.all(done);
  expect(here.state.taken).toEqual([1, 2, 3]);
  expect(queue.counters).toMatchObject({ depth: 0, enqueued: 3, dequeued: 3, timeouts: 0 });
});

test("one waiter more than the bound is refused at once", async () => {
  const queue = new SpawnQueue({ max: 1, timeoutMs: 60_000 });
  const here = room(0);
  const leave = new AbortController();
  const first = queue.wait(here.take(1), here.giveBack, leave.signal);
  await expect(queue.wait(here.take(2), here.giveBack, never)).rejects.toMatchObject({ reason: "spawn_queue_full" });
  leave.abort(new Error("gone"));
  await expect(first).rejects.toThrow("gone");
  expect(queue.busy).toBe(false);
});

test("a waiter whose time is up is told so and makes room for the next", async () => {
  const queue = new SpawnQueue({ max: 2, timeoutMs: 20 });
  const here = room(0);
  await expect(queue.wait(here.take(1), here.giveBack, never)).rejects.toBeInstanceOf(StacyError);
  expect(queue.counters).toMatchObject({ depth: 0, timeouts: 1 });
});

test("whatever leaves, frees and arrives in whatever order: nothing is lost and nothing is taken twice", async () => {
  const step = fc.oneof(
    fc.constant("arrive" as const),
    fc.constant("free" as const),
    fc.record({ leave: fc.nat({ max: 9 }) }),
    fc.constant("pause" as const),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const queue = new SpawnQueue({ max: 100, timeoutMs: 60_000 });
      const here = room(0);
      const waiters: { controller: AbortController; outcome: Promise<"served" | "left"> }[] = [];
      let freed = 0;
      for (const each of steps) {
        if (each === "arrive") {
          const controller = new AbortController();
          const outcome = queue.wait(here.take(waiters.length), here.giveBack, controller.signal).then(
            () => "served" as const,
            () => "left" as const,
          );
          waiters.push({ controller, outcome });
        } else if (each === "free") {
          here.state.free += 1;
          freed += 1;
          queue.capacityChanged();
        } else if (each === "pause") await settle();
        else waiters[each.leave]?.controller.abort(new Error("left"));
      }
      await settle();
      for (const { controller } of waiters) controller.abort(new Error("left"));
      await settle();
      const outcomes = await Promise.all(waiters.map(({ outcome }) => outcome));
      const served = outcomes.filter((outcome) => outcome === "served").length;
      expect(here.state.free + served).toBe(freed);
      expect(here.state.taken.length - here.state.givenBack).toBe(served);
      expect(queue.busy).toBe(false);
    }),
    { numRuns: 60 },
  );
});
