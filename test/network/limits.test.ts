import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startProcess } from "../e2e/process-api.ts";
import { echoPort } from "./far-ends.ts";
import { type Ground, probeInside, startGround } from "./ground.ts";
import { cannotReach } from "./internet.ts";
import { apiAddress } from "./row.ts";

const reason = cannotReach();
const connectionsMax = 20;
const bytesPerSecond = 1 << 20;

describe.skipIf(reason !== undefined)(`a sandbox's bounds${reason === undefined ? "" : ` (${reason})`}`, () => {
  let ground: Ground;
  beforeAll(async () => {
    ground = await startGround({
      config: {
        "network.limits.connections": `${connectionsMax}`,
        "network.limits.connections_per_second": "30",
        "network.limits.bandwidth": `${bytesPerSecond}`,
      },
    });
    await ground.internet.say({ "api.example.com": { a: [apiAddress] } });
  });
  beforeEach(() => ground.internet.forget());
  afterAll(async () => {
    await ground?.[Symbol.asyncDispose]();
  });

  test("hold for connections at once: the far end never has more", async () => {
    await using sandbox = await ground.spawn();
    const { opened, refused } = await sandbox.probe.many(`api.example.com:${echoPort}`, 2 * connectionsMax);
    expect(opened).toBe(connectionsMax);
    expect(refused).toEqual({ "connection refused": connectionsMax });
    expect((await ground.internet.records()).connections).toHaveLength(connectionsMax);
    expect((await sandbox.log()).filter(({ reason: why }) => why === "limit")).toHaveLength(connectionsMax);
  });

  test("hold for bytes in a second", async () => {
    await using sandbox = await ground.spawn();
    const startedAt = performance.now();
    const { status } = await sandbox.sh("curl -sSf -o /dev/null http://api.example.com/bytes/4194304");
    expect(status).toBe(0);
    // A second's worth may be there at once.
    expect(performance.now() - startedAt).toBeGreaterThan(2_500);
  });

  test("a flood of one leaves its neighbour what is its own", async () => {
    await using flooder = await ground.spawn();
    await using neighbour = await ground.spawn();
    const flood = await startProcess(flooder, {
      command: `while :; do ${probeInside} many ${apiAddress}:${echoPort} 100 >/dev/null; done`,
    });
    await expect
      .poll(async () => (await flooder.log()).some(({ reason: why }) => why === "limit"), { timeout: 30_000 })
      .toBe(true);
    for (let times = 0; times < 10; times++)
      expect((await neighbour.probe.https("https://api.example.com/")).status).toBe(200);
    expect((await flood.get()).state).toBe("running");
  });
});
