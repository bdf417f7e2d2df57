import { randomInt } from "node:crypto";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { failpointSteps } from "../../packages/server/src/lib/failpoint.ts";
import {
  type HostSnapshot,
  hostSnapshot,
  leftBehind,
} from "../../packages/server/src/providers/host-snapshot.testing.ts";
import { sandboxesOf } from "./api.ts";
import { ownedBy } from "./owned.ts";
import { type FaultHost, makeFaultHost, type ServerProcess } from "./server-process.ts";

/** Kills at a moment of chance. */
const rounds = 10;
const longestDelayMs = 250;

/** The same numbers from the same seed (mulberry32), each from 0 up to 1. */
const seededRandom = (seed: number) => {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
};

describe.runIf(process.getuid?.() === 0).each(["oci", "mock"])("kill -9 of the server, sandboxes by %s", (provider) => {
  let host: FaultHost;
  let server: ServerProcess;
  let keeper: string;
  let empty: HostSnapshot;
  let withKeeper: HostSnapshot;
  const look = () => hostSnapshot({ dataRoot: join(host.dataDir, "oci") });

  const nothingSince = async (before: HostSnapshot) => {
    await vi.waitFor(async () => expect(leftBehind(before, await look())).toEqual([]), {
      timeout: 10_000,
      interval: 50,
    });
  };

  /** The start includes one sweep; by its end rows, runtimes and host must agree. Sandboxes but the keeper are returned. */
  const restart = async (): Promise<readonly string[]> => {
    server = await host.start();
    const sandboxes = sandboxesOf(server.url);
    const rows = await sandboxes.list();
    expect(rows.filter(({ state }) => state !== "running")).toEqual([]);
    const owned = (await ownedBy(host.dataDir)).map(({ sandbox_id, alive }) => `${sandbox_id} ${alive}`);
    expect(owned.sort()).toEqual(rows.map(({ id }) => `${id} true`).sort());
    expect(rows.map(({ id }) => id)).toContain(keeper);
    for (const { id } of rows) expect(await sandboxes.sh(id, "echo $((6 * 7))")).toBe("42\n");
    expect(await sandboxes.sh(keeper, "cat mark")).toBe("kept\n");
    return rows.map(({ id }) => id).filter((id) => id !== keeper);
  };

  beforeAll(async () => {
    host = await makeFaultHost({ "providers.default": provider });
    server = await host.start();
    const sandboxes = sandboxesOf(server.url);
    // The first sandbox makes what all later ones share.
    await sandboxes.destroy((await sandboxes.spawn(provider)).id);
    empty = await look();
    keeper = (await sandboxes.spawn(provider)).id;
    await sandboxes.sh(keeper, "echo kept > mark");
    withKeeper = await look();
  });

  afterAll(async () => {
    try {
      for (const { id } of await sandboxesOf(server.url).list()) await sandboxesOf(server.url).destroy(id);
      await nothingSince(empty);
    } finally {
      await host[Symbol.asyncDispose]();
    }
  });

  it.each(failpointSteps)("at %s keeps what ran and leaves nothing unowned", async (step) => {
    const sandboxes = sandboxesOf(server.url);
    const victim = step.startsWith("destroy:") ? await sandboxes.spawn(provider) : undefined;
    await server.arm(step);
    const doomed = victim === undefined ? sandboxes.spawn(provider) : sandboxes.destroy(victim.id);
    await expect(doomed).rejects.toThrow("fetch failed");
    expect(await server.ended).toBe("SIGKILL");
    expect((await host.stepsHit()).at(-1)).toBe(step);

    const others = await restart();
    // A row that says running was complete, and one whose end was not begun still runs; nothing else survives.
    expect(others).toHaveLength(step === "spawn:running" || step === "destroy:leased" ? 1 : 0);
    for (const id of others) await sandboxesOf(server.url).destroy(id);
    await nothingSince(withKeeper);
  });

  it("hit every step", async () => {
    const hits = await host.stepsHit();
    const histogram = Object.fromEntries(
      failpointSteps.map((step) => [step, hits.filter((hit) => hit === step).length]),
    );
    console.info(`steps hit (${provider}):`, histogram);
    expect(Object.values(histogram).every((count) => count > 0)).toBe(true);
  });

  it("at any moment keeps what ran and leaves nothing unowned", async () => {
    const seed = Number(process.env.STACYVM_TEST_SEED ?? randomInt(2 ** 31));
    console.info(`STACYVM_TEST_SEED=${seed} (${provider})`);
    const random = seededRandom(seed);
    for (let round = 0; round < rounds; round++) {
      const sandboxes = sandboxesOf(server.url);
      const lane = async (): Promise<void> => {
        for (;;) {
          const { id } = await sandboxes.spawn(provider);
          await sandboxes.sh(id, "true");
          await sandboxes.destroy(id);
        }
      };
      const lanes = [lane(), lane()].map((one) => expect(one).rejects.toThrow(/fetch failed|terminated/));
      await delay(random() * longestDelayMs);
      server.signal("SIGKILL");
      await Promise.all(lanes);
      expect(await server.ended).toBe("SIGKILL");
      for (const id of await restart()) await sandboxesOf(server.url).destroy(id);
      await nothingSince(withKeeper);
    }
  });
});
