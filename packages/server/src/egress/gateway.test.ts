import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { expect, test } from "vitest";
import { systemClock } from "../lib/clock.ts";
import { Secret } from "../lib/secret.ts";
import { compilePolicy, publicPolicy } from "../sandbox/network-policy.ts";
import { noSecrets } from "./egress.ts";
import { createGateway, type GatewayOptions } from "./gateway.ts";
import { sandboxKeys } from "./sandbox-keys.ts";

const options: GatewayOptions = {
  programPath: fileURLToPath(new URL("../../../../build/stacyvm-egress", import.meta.url)),
  serverPolicy: publicPolicy,
  resolvers: [],
  open: [],
  limits: { connections: 0, connectionsPerSecond: 0, bandwidthBytes: 0, idleTimeoutMs: 0 },
  keys: sandboxKeys(new Secret("k".repeat(64))),
  roots: "",
  user: undefined,
  onDecision: () => {},
  clock: systemClock,
  beforeStart: async () => {},
  onEnd: () => {},
};
const policy = compilePolicy("sandbox", publicPolicy);
const open = { cut: 0, isInspected: false, authority: undefined };
const door = { path: "/nowhere/door.sock", guestMade: false };
const signal = () => AbortSignal.timeout(10_000);

/** Gateways that this process has started. */
const gateways = (): readonly number[] =>
  readdirSync("/proc").flatMap((name) => {
    try {
      const [, comm, parent] = /^\d+ \((.*)\) \S (\d+) /.exec(readFileSync(`/proc/${name}/stat`, "utf8")) ?? [];
      return comm === "stacyvm-egress" && Number(parent) === process.pid ? [Number(name)] : [];
    } catch {
      return []; // no process, or one that has ended
    }
  });

const killAll = (): void => {
  for (const pid of gateways()) process.kill(pid, "SIGKILL");
};

test("a gateway that is killed at whatever moment of its start is started again, and none outlives its end", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat({ max: 40 }), { minLength: 1, maxLength: 3 }),
      fc.nat({ max: 80 }),
      async (killsMs, endMs) => {
        const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
        const gateway = createGateway(options);
        for (const ms of killsMs) {
          await pause(ms);
          killAll();
        }
        await pause(endMs);
        await gateway[Symbol.asyncDispose]();
        expect(gateways()).toEqual([]);
      },
    ),
    { numRuns: 40 },
  );
});

test("one that is killed again and again serves what was admitted, once it is let be", async () => {
  await using gateway = createGateway(options);
  expect(await gateway.admit("sb-1", door, policy, noSecrets)).toEqual(open);
  for (let round = 0; round < 3; round += 1) {
    killAll();
    await expect.poll(() => gateway.counts("sb-1", signal()), { timeout: 10_000, interval: 5 }).toBeDefined();
    expect(gateways()).toHaveLength(1);
  }
  gateway.drop("sb-1");
  expect(await gateway.counts("sb-1", signal())).toBeUndefined();
});

test("a policy that the gateway refuses is told, and takes nothing from others, after a restart either", async () => {
  await using gateway = createGateway(options);
  await gateway.admit("sb-1", door, policy, noSecrets);
  const bad = { ...policy, deny: [{ text: "x", cidr: "203.0.113.0/99", ports: [] }] };
  await expect(gateway.admit("sb-2", door, bad, noSecrets)).rejects.toMatchObject({ reason: "invalid_input" });
  await expect(gateway.admit("sb-1", door, bad, noSecrets)).rejects.toThrow("policies[1].deny[0]");
  killAll();
  await expect.poll(() => gateway.counts("sb-1", signal()), { timeout: 10_000, interval: 5 }).toBeDefined();
  expect(await gateway.counts("sb-2", signal())).toBeUndefined();
});

test("without its program nothing goes out, and the end is still one", async () => {
  const reasons: string[] = [];
  const gateway = createGateway({
    ...options,
    programPath: "/nowhere/stacyvm-egress",
    onEnd: (why) => reasons.push(why),
  });
  expect(await gateway.admit("sb-1", door, policy, noSecrets)).toEqual(open);
  expect(await gateway.total(signal())).toBeUndefined();
  await gateway[Symbol.asyncDispose]();
  expect(reasons[0]).toContain("ENOENT");
});
