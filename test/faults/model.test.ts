import { readFileSync } from "node:fs";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type OwnSnapshot, ownSnapshot, settledLeftOver } from "../leaks/snapshot.ts";
import { sandboxesOf } from "./api.ts";
import { ownedBy } from "./owned.ts";
import { takeSeed } from "./seeded-random.ts";
import { type FaultHost, makeFaultHost, type ServerProcess } from "./server-process.ts";

const runs = Number(process.env.STACYVM_TEST_RUNS ?? 3);
const soon = { timeout: 15_000, interval: 20 };

/** What a client may know of its sandbox. */
interface Known {
  readonly id: string;
  readonly state: "running" | "error";
  readonly content: string;
}

type OnAll = "spawn" | "kill server" | "stop server" | "kill host helper";
type OnOne = "read" | "destroy" | "kill agent" | "kill agent while the server is down";

/** `pick` says which of the sandboxes there are then. */
type Step =
  | { readonly [Name in OnAll]: { readonly do: Name } }[OnAll]
  | { readonly [Name in OnOne]: { readonly do: Name; readonly pick: number } }[OnOne]
  | { readonly do: "write"; readonly pick: number; readonly text: string };

const pick = fc.nat(100);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ do: "spawn" as const }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("write" as const), pick, text: fc.stringMatching(/^[a-z]{1,8}$/) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom("read", "destroy", "kill agent", "kill agent while the server is down"),
      pick,
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom("kill server", "stop server", "kill host helper") }) },
);

describe.runIf(process.getuid?.() === 0)("any sequence of operations and kills", () => {
  let host: FaultHost;
  let server: ServerProcess;
  let sandboxes: ReturnType<typeof sandboxesOf>;
  let before: OwnSnapshot;
  const scope = () => ({ dataDir: host.dataDir, servers: [server.pid] });

  const start = async () => {
    server = await host.start();
    sandboxes = sandboxesOf(server.url);
  };
  const end = async (signal: "SIGKILL" | "SIGTERM") => {
    server.signal(signal);
    await server.ended;
  };
  /** A host program that has just died fails one call, which its caller may repeat. */
  const again = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      if (!/provider_unavailable/.test(String(error))) throw error;
      return await work();
    }
  };
  const killAgent = async (id: string) => {
    const pid = (await ownedBy(host.dataDir)).find(({ sandbox_id }) => sandbox_id === id)?.pid;
    if (pid === undefined) throw new Error(`the host has no ${id}`);
    process.kill(pid, "SIGKILL");
  };

  const take = async (model: readonly Known[], one: Step): Promise<readonly Known[]> => {
    if (one.do === "spawn") {
      const { id } = await again(() => sandboxes.spawn("mock"));
      await sandboxes.sh(id, "printf new > file");
      return [...model, { id, state: "running", content: "new" }];
    }
    if (one.do === "kill server" || one.do === "stop server") {
      await end(one.do === "kill server" ? "SIGKILL" : "SIGTERM");
      await start();
      return model;
    }
    if (!("pick" in one)) {
      const children = readFileSync(`/proc/${server.pid}/task/${server.pid}/children`, "utf8").trim();
      for (const child of children.split(" ")) if (child !== "") process.kill(Number(child), "SIGKILL");
      return model;
    }
    const known = model[one.pick % model.length];
    if (known === undefined) return model;
    const { id, state, content } = known;
    const changed = (to: Known | undefined) => model.flatMap((each) => (each === known ? (to ?? []) : each));
    switch (one.do) {
      case "read":
        if (state === "running") expect(await sandboxes.sh(id, "cat file")).toBe(content);
        else await expect(sandboxes.sh(id, "cat file")).rejects.toThrow(/^409 .*its runtime ended by itself/);
        return model;
      case "write":
        if (state !== "running") return model;
        await sandboxes.sh(id, `printf ${one.text} > file`);
        return changed({ ...known, content: one.text });
      case "destroy":
        await again(() => sandboxes.destroy(id));
        return changed(undefined);
      case "kill agent":
        if (state === "running") await killAgent(id);
        return changed({ ...known, state: "error" });
      case "kill agent while the server is down":
        await end("SIGKILL");
        if (state === "running") await killAgent(id);
        await start();
        return state === "running" ? changed(undefined) : model;
    }
  };

  const agrees = async (model: readonly Known[]) => {
    const words = (all: readonly { readonly id: string; readonly state: string }[]) =>
      all.map(({ id, state }) => `${id} ${state}`).sort();
    await vi.waitFor(async () => expect(words(await sandboxes.list())).toEqual(words(model)), soon);
    const alive = (await ownedBy(host.dataDir)).filter((one) => one.alive).map((one) => one.sandbox_id);
    expect(alive.sort()).toEqual(
      model
        .filter(({ state }) => state === "running")
        .map(({ id }) => id)
        .sort(),
    );
  };

  beforeAll(async () => {
    host = await makeFaultHost({ "providers.default": "mock", "reconcile.interval": "500ms" });
    await start();
    await sandboxes.destroy((await sandboxes.spawn("mock")).id);
    before = await ownSnapshot(scope());
  });

  afterAll(async () => {
    await host[Symbol.asyncDispose]();
  });

  it("is what a simple model says: a sandbox runs with its files until it is destroyed or its agent dies", async () => {
    const seed = takeSeed();
    console.info(`STACYVM_TEST_SEED=${seed}`);
    const property = fc.asyncProperty(fc.array(step, { minLength: 6, maxLength: 18, size: "max" }), async (steps) => {
      let model: readonly Known[] = [];
      try {
        for (const one of steps) {
          model = await take(model, one);
          await agrees(model);
        }
      } finally {
        for (const { id } of await sandboxes.list()) await again(() => sandboxes.destroy(id));
      }
      expect(await settledLeftOver(before, scope(), 10_000)).toEqual([]);
    });
    await fc.assert(property, { seed, numRuns: runs, endOnFailure: true });
  }, 600_000);
});
