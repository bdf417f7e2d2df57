import { readdirSync, readFileSync } from "node:fs";
import { Client, type NetworkDecision, type Sandbox } from "stacyvm";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launcher, runProgram } from "./cli-process.ts";
import { startServer, type TestServer } from "./server.ts";

// No packet leaves this machine: what is dialled here is refused before, and nobody answers for names.
let server: TestServer;
let client: Client;

beforeAll(async () => {
  server = await startServer({ config: { "network.deny": "*.denied.example" } });
  client = new Client({ baseUrl: server.url });
});
afterAll(() => server?.[Symbol.asyncDispose]());

const closed = "10.9.9.9";
const next = "10.8.8.8";
const dial = (sandbox: Sandbox, address = closed) =>
  sandbox.exec(`nc -w 2 ${address} 80 </dev/null`, { mode: "shell" });
const all = <T>(items: AsyncIterable<T>): Promise<T[]> => Array.fromAsync(items);

/** The gateway of this server: the only process of that program that is our child. */
const gatewayPid = (): number => {
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const [, parent] = /\) \S (\d+) /.exec(readFileSync(`/proc/${name}/stat`, "utf8")) ?? [];
      const isGateway = readFileSync(`/proc/${name}/comm`, "utf8").trim() === "stacyvm-egress";
      if (isGateway && Number(parent) === process.pid) return Number(name);
    } catch {
      // It has ended meanwhile.
    }
  }
  throw new Error("no gateway runs");
};

test("a sandbox that asks for nothing reaches what the server permits, by the gateway", async () => {
  await using stack = new AsyncDisposableStack();
  const sandbox = stack.adopt(await client.spawn(), (made) => made.destroy());
  expect(sandbox.info).toMatchObject({ network_mode: "bridge", network: { mode: "public", allow: [], deny: [] } });
  const { counts, ...network } = await sandbox.network.get();
  expect(network).toEqual({
    mode: "public",
    allow: [],
    deny: [],
    inject: [],
    level: "transparent",
    server: { mode: "public", allow: [], deny: ["*.denied.example"], inject: [] },
  });
  expect(counts).toEqual({ open: 0, allowed: 0, denied: 0, failed: 0, sent: 0, received: 0 });
});

test("what is always denied is refused to the program at once, told in the log, and counted", async () => {
  await using stack = new AsyncDisposableStack();
  const sandbox = stack.adopt(await client.spawn(), (made) => made.destroy());
  const startedAt = performance.now();
  expect((await dial(sandbox)).exit_code).not.toBe(0);
  expect(performance.now() - startedAt).toBeLessThan(1_500); // nc would wait for two seconds
  expect(await all(sandbox.network.log())).toEqual([
    expect.objectContaining({
      type: "decision",
      address: closed,
      port: 80,
      decision: "denied",
      reason: "always_denied",
    }),
  ]);
  expect((await sandbox.network.get()).counts).toMatchObject({ allowed: 0, denied: 1 });
});

test("the host's own addresses are denied, this server's port among them", async () => {
  await using stack = new AsyncDisposableStack();
  const sandbox = stack.adopt(await client.spawn(), (made) => made.destroy());
  const { port } = new URL(server.url);
  const answer = await sandbox.exec(
    `for to in 127.0.0.2 198.18.0.1 198.18.0.2 169.254.169.254; do wget -T 2 -q -O - http://$to:${port}/health && echo reached; done`,
    { mode: "shell" },
  );
  expect(answer.stdout).not.toContain("reached");
});

test("the policy is changed live, and told from then on", async () => {
  await using stack = new AsyncDisposableStack();
  const sandbox = stack.adopt(await client.spawn({ network: { mode: "public" } }), (made) => made.destroy());
  const policy = { mode: "allowlist", allow: ["api.example.com:443"], deny: ["203.0.113.0/24"] } as const;
  const changed = await sandbox.network.set({ mode: policy.mode, allow: [...policy.allow], deny: [...policy.deny] });
  expect(changed).toMatchObject({ ...policy, cut: 0 });
  await sandbox.refresh();
  expect(sandbox.info.network).toEqual({ ...policy, inject: [] });
  expect((await dial(sandbox, "192.0.2.1")).exit_code).not.toBe(0);
  expect((await all(sandbox.network.log())).at(-1)).toMatchObject({ decision: "denied", reason: "not_allowed" });
});

test("a sandbox without a network has no way out, and gets none later", async () => {
  await using stack = new AsyncDisposableStack();
  const sandbox = stack.adopt(await client.spawn({ network: { mode: "none" } }), (made) => made.destroy());
  expect(sandbox.info.network_mode).toBe("none");
  expect((await sandbox.exec("cat /proc/net/dev", { mode: "shell" })).stdout.match(/^ *\w+:/gm)).toEqual(["    lo:"]);
  expect(await sandbox.network.get()).toMatchObject({ mode: "none", level: "none" });
  await expect(sandbox.network.set({ mode: "public" })).rejects.toMatchObject({ reason: "not_supported" });
  expect(await sandbox.network.set({ mode: "none" })).toMatchObject({ mode: "none" });
});

test("the log is followed: what was, then live, then what comes", async () => {
  await using stack = new AsyncDisposableStack();
  const sandbox = stack.adopt(await client.spawn(), (made) => made.destroy());
  await dial(sandbox);
  const told: NetworkDecision[] = [];
  for await (const line of sandbox.network.log({ follow: true })) {
    told.push(line);
    if (line.type === "live") await dial(sandbox, "10.8.8.8");
    if (told.length === 3) break;
  }
  expect(told.map(({ type, address }) => [type, address])).toEqual([
    ["decision", closed],
    ["live", undefined],
    ["decision", "10.8.8.8"],
  ]);
});

test("the command follows the log, what was and what comes, until it is interrupted", async () => {
  await using stack = new AsyncDisposableStack();
  const sandbox = stack.adopt(await client.spawn(), (made) => made.destroy());
  await dial(sandbox);
  const [pid, past, both] = [
    Promise.withResolvers<number>(),
    Promise.withResolvers<void>(),
    Promise.withResolvers<void>(),
  ];
  const running = runProgram(launcher, ["--server", server.url, "network", sandbox.id, "--follow"], {
    onStart: pid.resolve,
    onOutput: (stdout) => {
      if (stdout.includes(closed)) past.resolve();
      if (stdout.includes(next)) both.resolve();
    },
  });
  await past.promise;
  await dial(sandbox, next);
  await both.promise;
  process.kill(await pid.promise, "SIGINT");
  const { status, stdout, stderr } = await running;
  expect({ status, stderr }).toEqual({ status: 130, stderr: "" });
  expect(stdout.replaceAll(/\d\d:\d\d:\d\d/g, "TIME").split("\n")).toEqual([
    `TIME  denied   #1 ${closed}:80  always denied`,
    `TIME  denied   #2 ${next}:80  always denied`,
    "",
  ]);
});

test("denials are events, at most one a second and sandbox, which tell how many are not told", async () => {
  await using stack = new AsyncDisposableStack();
  const sandbox = stack.adopt(await client.spawn(), (made) => made.destroy());
  const told: { readonly at: number; readonly data: Readonly<Record<string, unknown>> }[] = [];
  const leave = new AbortController();
  const listening = (async () => {
    for await (const { type, sandbox_id, timestamp, data } of client.events({ signal: leave.signal })) {
      if (type === "network.denied" && sandbox_id === sandbox.id)
        told.push({ at: Date.parse(timestamp), data: data ?? {} });
    }
  })().catch((error: unknown) => {
    if (!leave.signal.aborted) throw error;
  });
  const dialUntil = async (count: number) => {
    const dialled = async () => {
      await dial(sandbox);
      return told.length;
    };
    await expect.poll(dialled, { timeout: 10_000 }).toBe(count);
  };
  await dialUntil(1);
  await dialUntil(2);
  leave.abort();
  await listening;
  const [first, second] = told;
  expect(first?.data).toMatchObject({ address: closed, port: 80, reason: "always_denied" });
  expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(1_000);
  expect(second?.data.untold).toBeGreaterThan(0);
});

test("metrics count what all sandboxes did, those that are gone among them", async () => {
  const denied = async (): Promise<number> => {
    const text = await (await fetch(`${server.url}/api/v1/metrics/prometheus`)).text();
    expect(text).toContain("stacyvm_network_gateway_up 1");
    return Number(/^stacyvm_network_decisions_total\{decision="denied"\} (\d+)$/m.exec(text)?.[1]);
  };
  const before = await denied();
  const sandbox = await client.spawn();
  await dial(sandbox);
  await dial(sandbox);
  await sandbox.destroy();
  expect(await denied()).toBe(before + 2);
});

test("a gateway that is killed comes back with the policies", async () => {
  await using stack = new AsyncDisposableStack();
  const sandbox = stack.adopt(await client.spawn({ network: { mode: "allowlist" } }), (made) => made.destroy());
  const before = gatewayPid();
  process.kill(before, "SIGKILL");
  await expect.poll(async () => (await sandbox.network.get()).counts, { timeout: 10_000 }).toBeDefined();
  expect(gatewayPid()).not.toBe(before);
  expect((await dial(sandbox, "192.0.2.1")).exit_code).not.toBe(0);
  expect((await all(sandbox.network.log())).at(-1)).toMatchObject({ decision: "denied", reason: "not_allowed" });
});
