import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type FailpointStep, failpointSteps } from "../../packages/server/src/lib/failpoint.ts";
import { type OwnSnapshot, ownSnapshot, settledLeftOver } from "../leaks/snapshot.ts";
import { sandboxesOf } from "./api.ts";
import type { FaultGround } from "./ground.ts";
import { seededRandom, shuffled, takeSeed } from "./seeded-random.ts";
import { type FaultHost, makeFaultHost, type ServerProcess } from "./server-process.ts";
import { configOf, type FaultTarget } from "./targets.ts";
import { startTraffic } from "./traffic.ts";

const longestDelayMs = 250;
const soon = { timeout: 20_000, interval: 20 };
const reason = "its runtime ended by itself";

/** What is killed, and when: at a step of spawn or destroy, or at a moment of chance under traffic. */
type Kill = `server at ${FailpointStep}` | "server" | "agent" | "engine's shim" | "host helper";

/** As many of each as go evenly, every step among them. */
const plan = (rounds: number, target: FaultTarget, random: () => number): readonly Kill[] => {
  const atSteps = failpointSteps.map((step) => `server at ${step}` as const);
  const atMoments: readonly Kill[] = target.usesHostHelper
    ? ["server", "agent", "host helper"]
    : ["server", "agent", "engine's shim"];
  const kills = Array.from({ length: rounds }, (_, round): Kill | undefined => {
    const [steps, turn] = [atSteps.length, round % (atSteps.length + 4 * atMoments.length)];
    return turn < steps ? atSteps[turn] : atMoments[turn % atMoments.length];
  });
  return shuffled(
    kills.filter((kill) => kill !== undefined),
    random,
  );
};

/** Kills parts of a running system, and looks whether rows and runtimes agree afterwards and nothing is left over. */
export const describeKills = (target: FaultTarget, rounds: number): void => {
  const { provider } = target;
  const seed = takeSeed();
  const random = seededRandom(seed);
  const kills = plan(rounds, target, random);

  describe.runIf(process.getuid?.() === 0)(`kill -9, sandboxes by ${provider}, STACYVM_TEST_SEED=${seed}`, () => {
    let ground: FaultGround;
    let host: FaultHost;
    let server: ServerProcess;
    let sandboxes: ReturnType<typeof sandboxesOf>;
    let keeper: string;
    let empty: OwnSnapshot;
    let withKeeper: OwnSnapshot;
    const histogram = new Map<string, number>();
    const scope = () => ({ dataDir: host.dataDir, engines: ground.engines, servers: [server.pid] });
    const nothingSince = async (before: OwnSnapshot) =>
      expect(await settledLeftOver(before, scope(), 10_000)).toEqual([]);
    const hit = (what: string) => histogram.set(what, (histogram.get(what) ?? 0) + 1);
    const start = async () => {
      server = await host.start();
      sandboxes = sandboxesOf(server.url);
    };
    const others = async () => (await sandboxes.list()).filter(({ id }) => id !== keeper);
    const owned = async () => (await ground.owned(host.dataDir)).filter(({ id }) => id !== keeper);

    /** Each running row has a runtime that serves, each error its reason, and no runtime is without a row. */
    const agree = async () => {
      const [rows, runtimes] = [await others(), await owned()];
      const alive = new Set(runtimes.filter(({ alive }) => alive).map(({ id }) => id));
      const known = new Set(rows.map(({ id }) => id));
      expect(runtimes.map(({ id }) => id).filter((id) => !known.has(id))).toEqual([]);
      for (const { id, state } of rows) {
        expect(["running", "error", "destroying"]).toContain(state);
        if (state === "running") expect(await sandboxes.sh(id, "echo $((6 * 7))")).toBe("42\n");
        if (state === "error") {
          expect(alive.has(id)).toBe(false);
          await expect(sandboxes.sh(id, "true")).rejects.toThrow(`is error: ${reason}`);
        }
      }
      expect(await sandboxes.sh(keeper, "cat mark")).toBe("kept\n");
    };
    const clear = async () => {
      for (const { id } of await others()) await sandboxes.destroy(id);
      await nothingSince(withKeeper);
    };

    const atStep = async (step: FailpointStep) => {
      const victim = step.startsWith("destroy:") ? await sandboxes.spawn(provider) : undefined;
      await server.arm(step);
      const doomed = victim === undefined ? sandboxes.spawn(provider) : sandboxes.destroy(victim.id);
      await expect(doomed).rejects.toThrow("fetch failed");
      expect(await server.ended).toBe("SIGKILL");
      expect((await host.stepsHit()).at(-1)).toBe(step);
      await start();
      await agree();
      // A row that says running was complete, and one whose end was not begun still runs; nothing else survives.
      const survives = step === "spawn:running" || step === "destroy:leased";
      expect((await others()).map(({ state }) => state)).toEqual(survives ? ["running"] : []);
    };

    const serverAtAnyMoment = async () => {
      const traffic = startTraffic({ sandboxes, provider, serverMayDie: true, lanes: 2 });
      await delay(random() * longestDelayMs);
      hit(`server during ${traffic.doing()}`);
      server.signal("SIGKILL");
      expect(await server.ended).toBe("SIGKILL");
      expect(await traffic.stop()).toEqual([]);
      await start();
      // The start's own sweep is enough.
      expect((await others()).map(({ state }) => state).filter((state) => state !== "running")).toEqual([]);
      await agree();
    };

    const sandboxAtAnyMoment = async (what: string, end: (id: string) => Promise<void>) => {
      const victim = await sandboxes.spawn(provider);
      const served = expect(sandboxes.sh(victim.id, "sleep 3600")).rejects.toThrow(/^(503 .*guest_unreachable|409 )/);
      const traffic = startTraffic({ sandboxes, provider, serverMayDie: false, lanes: 1 });
      await delay(random() * longestDelayMs);
      hit(`${what} during ${traffic.doing()}`);
      await end(victim.id);
      await served;
      await vi.waitFor(async () => expect((await sandboxes.get(victim.id)).state).toBe("error"), soon);
      expect(await traffic.stop()).toEqual([]);
      await agree();
    };

    const helperAtAnyMoment = async () => {
      const traffic = startTraffic({ sandboxes, provider, serverMayDie: false, lanes: 2 });
      await delay(random() * longestDelayMs);
      const children = readFileSync(`/proc/${server.pid}/task/${server.pid}/children`, "utf8").trim().split(" ");
      const helpers = children.filter((child) =>
        readFileSync(`/proc/${child}/cmdline`, "utf8").includes("stacyvm-host\0serve"),
      );
      hit(`host helper during ${traffic.doing()}`);
      for (const child of helpers) process.kill(Number(child), "SIGKILL");
      expect(await traffic.stop()).toEqual([]);
      await vi.waitFor(agree, soon);
      await sandboxes.destroy((await sandboxes.spawn(provider)).id);
    };

    beforeAll(async () => {
      ground = await target.ground();
      host = await makeFaultHost({
        ...configOf(target, ground),
        "reconcile.interval": "500ms",
        "reaper.interval": "500ms",
      });
      await start();
      // The first sandbox makes what all later ones share.
      await sandboxes.destroy((await sandboxes.spawn(provider)).id);
      empty = await ownSnapshot(scope());
      keeper = (await sandboxes.spawn(provider)).id;
      await sandboxes.sh(keeper, "echo kept > mark");
      withKeeper = await ownSnapshot(scope());
    });

    afterAll(async () => {
      console.info(`what was hit (${provider}, STACYVM_TEST_SEED=${seed}):`, Object.fromEntries([...histogram].sort()));
      try {
        for (const { id } of await sandboxes.list()) await sandboxes.destroy(id);
        await nothingSince(empty);
      } finally {
        await ground.clear(host.dataDir).catch(() => {});
        await host[Symbol.asyncDispose]();
        await ground[Symbol.asyncDispose]();
      }
    });

    it(`in ${rounds} rounds what ran is kept, rows and runtimes agree, every call ends, and nothing is left over`, async () => {
      for (const [round, kill] of kills.entries()) {
        try {
          if (kill === "server") await serverAtAnyMoment();
          else if (kill === "agent") await sandboxAtAnyMoment(kill, (id) => ground.killAgent(host.dataDir, id));
          else if (kill === "engine's shim") await sandboxAtAnyMoment(kill, async (id) => await ground.killShim?.(id));
          else if (kill === "host helper") await helperAtAnyMoment();
          else {
            const step = kill.slice("server at ".length) as FailpointStep;
            await atStep(step);
            hit(kill);
          }
          await clear();
        } catch (error) {
          throw new Error(`round ${round}, ${kill}, STACYVM_TEST_SEED=${seed}: ${error}`, { cause: error });
        }
      }
    }, 3_600_000);

    it("hit every step", () => {
      const missed = failpointSteps.filter((step) => !histogram.has(`server at ${step}`));
      expect(missed).toEqual([]);
    });
  });
};
