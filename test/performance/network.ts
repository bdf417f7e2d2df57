import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { buildNative } from "../../packages/server/src/providers/host.testing.ts";
import { type Policy, startGround } from "../network/ground.ts";
import { apiClient } from "./api-client.ts";
import { megabytesPerSecond, rounded, timed, timesOf } from "./figures.ts";
import { atLeast, atMost, type Item } from "./item.ts";
import { putBenchGuest } from "./native-programs.ts";
import { pssBytes, sandboxProcesses } from "./process-memory.ts";

const gibibyte = 2 ** 30;
const flows = 200;
const appPort = 8099;
const tlsAppPort = 8443;
const connects = 500;
const appAddress = "198.51.100.80";

/**
 * Outbound network of oci: a server of its own in network namespaces with an Internet of the tests' own, whose app is a Go
 * program. All of them share this machine's processors.
 */
export const network: Item = async ({ n }) => {
  await using ground = await startGround({ config: { "network.limits.connections_per_second": "0" } });
  using api = apiClient(ground.server().url);
  await ground.internet.say({ "api.example.com": { a: [appAddress] } });
  const outside = [`--net=/proc/${ground.internet.holders.world}/ns/net`, buildNative("bench-guest", ground.dataDir)];
  const startApp = async (...argv: readonly string[]) => {
    const child = spawn("nsenter", [...outside, ...argv], { stdio: "ignore" });
    await once(child, "spawn");
    return child;
  };
  const pair = ["pem", "key"].map((kind) => join(ground.internet.directory, `world.${kind}`));
  const apps = [
    await startApp("app", `0.0.0.0:${appPort}`),
    await startApp("tls-app", `0.0.0.0:${tlsAppPort}`, ...pair),
  ];
  const address = `${appAddress}:${appPort}`;
  try {
    await using sandbox = await ground.spawn({ mode: "public" });
    const { inside } = await putBenchGuest(api, ground.dataDir, sandbox.id);
    const figuresOf = async (...argv: readonly string[]): Promise<readonly number[]> =>
      (await api.run(sandbox.id, inside, argv)).trim().split(" ").map(Number);
    const idleBefore = agentBytes(sandbox.id);
    await reachable(() => figuresOf("connect", "1", address));
    const connect = await figuresOf("connect", String(n ?? connects), address);
    const byName = await figuresOf("connect", String(n ?? connects), `api.example.com:${appPort}`);
    const parallel = await figuresOf("parallel", String(flows), address);
    const downloads: number[] = [];
    for (let at = 0; at < 3; at++)
      downloads.push((await figuresOf("download", String(gibibyte), address))[0] ?? Number.NaN);
    const download = megabytesPerSecond(gibibyte, Math.min(...downloads));
    const inspected = await fetched(["inspect api.example.com"]);
    const endToEnd = await fetched([]);

    /** The best of three, by TLS. */
    async function fetched(allow: readonly string[]): Promise<number> {
      await using one = await ground.spawn({ mode: "public", allow });
      const guest = (await putBenchGuest(api, ground.dataDir, one.id)).inside;
      const times: number[] = [];
      for (let at = 0; at < 3; at++)
        times.push(Number(await api.run(one.id, guest, ["fetch", String(gibibyte), `api.example.com:${tlsAppPort}`])));
      return megabytesPerSecond(gibibyte, Math.min(...times));
    }

    const first = async (policy: Policy): Promise<number> => {
      const made = await timed(async () => {
        const one = await ground.spawn(policy);
        await api.run(one.id, "true");
        return one;
      });
      await made.value[Symbol.asyncDispose]();
      return made.ms;
    };
    const [without, withNetwork]: [number[], number[]] = [[], []];
    for (let at = 0; at < (n ?? 60); at++) {
      without.push(await first({ mode: "none" }));
      withNetwork.push(await first({ mode: "public" }));
    }
    const none = timesOf(without);
    const open = timesOf(withNetwork);
    const grew = rounded(open.p50_ms - none.p50_ms);
    await using idle = await ground.spawn({ mode: "none" });
    await using stacked = await ground.spawn({ mode: "public" });
    await putBenchGuest(api, ground.dataDir, stacked.id);
    await api.run(stacked.id, inside, ["connect", "1", address]);
    await setTimeout(quietMs); // the agent gives back what it has no use for
    const idleCost = rounded((agentBytes(stacked.id) - agentBytes(idle.id)) / 1e6);
    return {
      figures: {
        connect_ms: { p50: connect[0], p99: connect[1] },
        connect_by_name_ms: { p50: byName[0], p99: byName[1] },
        download_mb_s: { best: download, all_ms: downloads },
        download_by_tls_mb_s: { inspected, end_to_end: endToEnd },
        parallel: { wanted: flows, greeted: parallel[0], wall_ms: parallel[1] },
        create_to_first_result: { without_network: none, with_network: open },
        agent_mb: { fresh_with_network: rounded(idleBefore / 1e6), idle_cost: idleCost },
      },
      lines: [
        atMost("connect, p50", 3, "ms", connect[0] ?? Number.NaN),
        atLeast("download of 1 GiB", 250, "MB/s", download),
        atLeast("download of 1 GiB, inspected", 120, "MB/s", inspected),
        atLeast("connections at once", flows, "", parallel[0] ?? 0),
        atMost("idle cost of the network stack, PSS", 6, "MB", idleCost),
        atMost("create to first result grows by, p50", 10, "ms", grew),
      ],
    };
  } finally {
    for (const app of apps) app.kill();
  }
};

/** Longer than the agent waits before it gives memory back. */
const quietMs = 7_000;

/** Of the processes of a sandbox that runs nothing but its agent. */
const agentBytes = (id: string): number =>
  sandboxProcesses(id)
    .map(pssBytes)
    .reduce((sum, each) => sum + each, 0);

const reachable = async (attempt: () => Promise<unknown>): Promise<void> => {
  for (let tries = 0; ; tries++) {
    try {
      await attempt();
      return;
    } catch (error) {
      if (tries === 50) throw error;
      await setTimeout(100);
    }
  }
};
