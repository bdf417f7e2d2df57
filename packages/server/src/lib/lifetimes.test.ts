import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import { every } from "./every.ts";
import { KeyMutex } from "./key-mutex.ts";
import { withScope } from "./scope.ts";

test("when the work fails, every undo step runs, last first, whatever the others do, and the work's error comes out", async () => {
  const undone: string[] = [];
  const failures: string[] = [];
  const boom = new Error("boom");
  const outcome = withScope(
    async ({ defer }) => {
      defer("first", async () => undone.push("first"));
      defer("second", async () => {
        throw new Error("second can't");
      });
      defer("third", async () => undone.push("third"));
      throw boom;
    },
    (step) => failures.push(step),
  );
  await expect(outcome).rejects.toBe(boom);
  expect(undone).toEqual(["third", "first"]);
  expect(failures).toEqual(["second"]);
});

test("when the work succeeds, nothing is undone", async () => {
  const undone: string[] = [];
  const result = await withScope(
    async ({ defer }) => {
      defer("only", async () => undone.push("only"));
      return 1;
    },
    () => {},
  );
  expect([result, undone]).toEqual([1, []]);
});

test("work under one key never overlaps and keeps its order; failures don't stop the next; nothing is kept", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.record({ key: fc.constantFrom("a", "b"), fails: fc.boolean() })), async (jobs) => {
      const mutex = new KeyMutex();
      const inside = new Map<string, number>();
      const order = new Map<string, number[]>();
      await Promise.allSettled(
        jobs.map(({ key, fails }, i) =>
          mutex.run(key, async () => {
            inside.set(key, (inside.get(key) ?? 0) + 1);
            expect(inside.get(key)).toBe(1);
            await setImmediate();
            order.set(key, [...(order.get(key) ?? []), i]);
            inside.set(key, 0);
            if (fails) throw new Error("job");
          }),
        ),
      );
      for (const list of order.values()) expect(list).toEqual([...list].sort((a, b) => a - b));
      expect([...order.values()].flat()).toHaveLength(jobs.length);
      expect(mutex.size).toBe(0);
    }),
  );
});

test("rounds never overlap, a failing round doesn't end them, and disposing waits for the one under way", async () => {
  let running = 0;
  let rounds = 0;
  const failures: unknown[] = [];
  const third = Promise.withResolvers<void>();
  const loop = every({
    intervalMs: 1,
    work: async () => {
      running += 1;
      expect(running).toBe(1);
      await setImmediate();
      running -= 1;
      rounds += 1;
      if (rounds === 1) throw new Error("first");
      if (rounds === 3) third.resolve();
    },
    onFailure: (error) => failures.push(error),
  });
  await third.promise;
  await loop[Symbol.asyncDispose]();
  const ended = rounds;
  await setImmediate();
  expect([rounds, running, failures.length]).toEqual([ended, 0, 1]);
});

test("a round that is asked for begins without the pause, and after the one under way where there is one", async () => {
  const rounds: PromiseWithResolvers<void>[] = [];
  const begun = [Promise.withResolvers<void>(), Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  await using repeated = every({
    intervalMs: 3_600_000,
    leastPauseMs: 1,
    onFailure: () => {},
    work: async () => {
      const round = Promise.withResolvers<void>();
      begun[rounds.length]?.resolve();
      rounds.push(round);
      await round.promise;
    },
  });
  repeated.soon();
  await begun[0]?.promise;
  repeated.soon();
  repeated.soon();
  expect(rounds).toHaveLength(1);
  rounds[0]?.resolve();
  await begun[1]?.promise;
  rounds[1]?.resolve();
  repeated.soon();
  await begun[2]?.promise;
  rounds[2]?.resolve();
  expect(rounds).toHaveLength(3);
});
