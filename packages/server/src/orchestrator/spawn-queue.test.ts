import { setImmediate } from "node:timers/promises";
import { StacyError } from "@stacyvm/contract";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Attempt, SpawnQueue } from "./spawn-queue.ts";

const settle = async () => {
  for (let i = 0; i < 60; i += 1) await setImmediate();
};

/** Room for so many altogether, and for so many of one owner; `taken` tells who came in, in order. */
const room = (free: number, ownerCap = Number.POSITIVE_INFINITY) => {
  const state = { free, taken: [] as string[], held: new Map<string, number>(), givenBack: 0 };
  const count = (owner: string, change: number) => state.held.set(owner, (state.held.get(owner) ?? 0) + change);
  return {
    state,
    spawn: (who: string, owner = "") => ({
      owner,
      attempt: async (): Promise<Attempt> => {
        await setImmediate();
        if (state.free === 0) return "full";
        if ((state.held.get(owner) ?? 0) >= ownerCap) return "owner_full";
        state.free -= 1;
        count(owner, 1);
        state.taken.push(who);
        return "taken";
      },
      giveBack: async () => {
        await setImmediate();
        state.givenBack += 1;
        state.free += 1;
        count(owner, -1);
      },
    }),
    leave: (owner: string) => {
      state.free += 1;
      count(owner, -1);
    },
  };
};

const never = new AbortController().signal;

test("an owner's waiters are served first come, first served, each as soon as something is freed", async () => {
  const queue = new SpawnQueue({ max: 10, timeoutMs: 60_000 });
  const here = room(0);
  const done = ["1", "2", "3"].map((who) => queue.wait(here.spawn(who), never));
  await settle();
  expect(here.state.taken).toEqual([]);
  here.state.free = 2;
  queue.capacityChanged();
  await settle();
  expect(here.state.taken).toEqual(["1", "2"]);
  here.state.free = 1;
  queue.capacityChanged();
  await Promise.all(done);
  expect(here.state.taken).toEqual(["1", "2", "3"]);
  expect(queue.counters).toMatchObject({ depth: 0, enqueued: 3, dequeued: 3, timeouts: 0 });
});

test("fewer may wait from now on: the last of the longest line is refused, and newcomers wait as long as now counts", async () => {
  const queue = new SpawnQueue({ max: 10, timeoutMs: 60_000 });
  const here = room(0);
  const waiting = ["1", "2", "3"].map((who) => queue.wait(here.spawn(who), never));
  await settle();
  queue.configure({ max: 2, timeoutMs: 1 });
  await expect(waiting[2]).rejects.toMatchObject({ reason: "spawn_queue_full" });
  expect(queue.counters).toMatchObject({ depth: 2, capacity: 2 });
  queue.configure({ max: 3, timeoutMs: 1 });
  await expect(queue.wait(here.spawn("4"), never)).rejects.toMatchObject({ reason: "spawn_queue_timeout" });
  here.state.free = 2;
  queue.capacityChanged();
  await Promise.all(waiting.slice(0, 2));
});

test("owners take turns, however many one of them sent first", async () => {
  const queue = new SpawnQueue({ max: 20, timeoutMs: 60_000 });
  const here = room(0);
  const many = ["a1", "a2", "a3", "a4"].map((who) => queue.wait(here.spawn(who, "a"), never));
  const few = ["b1", "b2", "c1"].map((who) => queue.wait(here.spawn(who, who.charAt(0)), never));
  for (let freed = 0; freed < 7; freed++) {
    here.state.free = 1;
    queue.capacityChanged();
    await settle();
  }
  await Promise.all([...many, ...few]);
  expect(here.state.taken).toEqual(["a1", "b1", "c1", "a2", "b2", "a3", "a4"]);
});

test("an owner at its own cap holds up nobody else, also when it fills the whole queue", async () => {
  const queue = new SpawnQueue({ max: 2, timeoutMs: 60_000 });
  const here = room(10, 1);
  await queue.wait(here.spawn("a0", "a"), never);
  const leave = new AbortController();
  const stuck = ["a1", "a2"].map((who) => queue.wait(here.spawn(who, "a"), leave.signal));
  await queue.wait(here.spawn("b1", "b"), never);
  expect(here.state.taken).toEqual(["a0", "b1"]);
  expect(queue.counters.depth).toBe(2);
  here.leave("a");
  queue.capacityChanged();
  await stuck[0];
  leave.abort(new Error("gone"));
  await expect(stuck[1]).rejects.toThrow("gone");
});

test("where more wait than may, the last of the longest line is refused, told which limit and its use", async () => {
  const queue = new SpawnQueue({ max: 3, timeoutMs: 60_000 });
  const here = room(0);
  const leave = new AbortController();
  const outcome = (who: string) =>
    queue.wait(here.spawn(who, who.charAt(0)), leave.signal).then(
      () => "served",
      (error: unknown) => (error instanceof StacyError ? error : "left"),
    );
  const waiting = ["a1", "a2", "a3"].map(outcome);
  const another = outcome("b1");
  expect(await waiting[2]).toMatchObject({
    reason: "spawn_queue_full",
    message: "resource limit exceeded: spawn queue full (3)",
    details: { limit: "max_spawn_queue", value: 3, used: 3, unit: "spawns" },
  });
  expect(await outcome("a4")).toMatchObject({ reason: "spawn_queue_full" });
  leave.abort(new Error("gone"));
  expect(await Promise.all([waiting[0], waiting[1], another])).toEqual(["left", "left", "left"]);
  expect(queue.busy).toBe(false);
});

test("a waiter whose time is up is told so and makes room for the next", async () => {
  const queue = new SpawnQueue({ max: 2, timeoutMs: 20 });
  const here = room(0);
  const error: unknown = await queue.wait(here.spawn("1"), never).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({
    reason: "spawn_queue_timeout",
    details: { limit: "spawn_queue_timeout", value: 20, unit: "ms" },
  });
  expect((error as StacyError).details?.used).toBeGreaterThanOrEqual(15);
  expect(queue.counters).toMatchObject({ depth: 0, timeouts: 1 });
});

test("an attempt that fails is its own waiter's failure, and the next one's turn", async () => {
  const queue = new SpawnQueue({ max: 2, timeoutMs: 60_000 });
  const here = room(1);
  const broken = { owner: "", attempt: () => Promise.reject(new Error("broken")), giveBack: async () => {} };
  const outcomes = await Promise.allSettled([queue.wait(broken, never), queue.wait(here.spawn("1"), never)]);
  expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
});

test("whatever arrives, leaves and frees in whatever order: none is lost, taken twice, passed over or left waiting", async () => {
  const owners = ["a", "b", "c"];
  const owner = fc.constantFrom(...owners);
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ arrive: owner }) },
    { weight: 3, arbitrary: fc.record({ end: owner }) },
    // The latest but so many.
    { weight: 2, arbitrary: fc.record({ leave: fc.nat({ max: 3 }) }) },
    // A part of an attempt may be over, or everything.
    { weight: 3, arbitrary: fc.record({ ticks: fc.integer({ min: 1, max: 3 }) }) },
    { weight: 2, arbitrary: fc.constant({ pause: true }) },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 40 }),
      fc.nat({ max: 3 }),
      fc.integer({ min: 1, max: 3 }),
      async (steps, free, ownerCap) => {
        const queue = new SpawnQueue({ max: 100, timeoutMs: 60_000 });
        const here = room(free, ownerCap);
        const waiters: { owner: string; who: string; state: string; controller: AbortController }[] = [];
        const nobodyWaitsInVain = () => {
          const waiting = waiters.filter(({ state }) => state === "waiting");
          expect(queue.counters.depth).toBe(waiting.length);
          if (here.state.free === 0) return;
          for (const each of waiting) expect(here.state.held.get(each.owner)).toBe(ownerCap);
        };
        for (const each of steps) {
          if ("arrive" in each) {
            const waiter = {
              owner: each.arrive,
              who: `${each.arrive}${waiters.length}`,
              state: "waiting",
              controller: new AbortController(),
            };
            waiters.push(waiter);
            queue.wait(here.spawn(waiter.who, waiter.owner), waiter.controller.signal).then(
              () => (waiter.state = "served"),
              () => (waiter.state = "left"),
            );
          } else if ("end" in each) {
            const served = waiters.find(({ owner, state }) => owner === each.end && state === "served");
            if (served === undefined) continue;
            served.state = "ended";
            here.leave(each.end);
            queue.capacityChanged();
          } else if ("leave" in each) waiters.at(-1 - each.leave)?.controller.abort(new Error("left"));
          else if ("ticks" in each) for (let tick = 0; tick < each.ticks; tick++) await setImmediate();
          else {
            await settle();
            nobodyWaitsInVain();
          }
        }
        await settle();
        nobodyWaitsInVain();
        for (const name of owners) {
          const served = waiters.filter((each) => each.owner === name && /served|ended/.test(each.state));
          const inOrder = here.state.taken.filter((who) => served.some((each) => each.who === who));
          expect(inOrder).toEqual(served.map(({ who }) => who));
        }
        for (const { controller } of waiters) controller.abort(new Error("left"));
        await settle();
        const holding = waiters.filter(({ state }) => state === "served").length;
        expect(here.state.free + holding).toBe(free);
        expect(queue.busy).toBe(false);
      },
    ),
    { numRuns: 300 },
  );
});
