import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startProcess } from "../e2e/process-api.ts";
import { echoPort } from "./far-ends.ts";
import { type Ground, type NetworkSandbox, startGround } from "./ground.ts";
import { cannotReach } from "./internet.ts";
import { apiAddress, otherAddress } from "./row.ts";

const reason = cannotReach();
const pollMs = 30_000;
const gateway = "stacyvm-egress";

describe.skipIf(reason !== undefined)(`a policy${reason === undefined ? "" : ` (${reason})`}`, () => {
  let ground: Ground;
  let sandbox: NetworkSandbox;

  beforeAll(async () => {
    ground = await startGround();
    await ground.internet.say({
      "api.example.com": { a: [apiAddress] },
      "other.example.com": { a: [otherAddress] },
    });
    // Spawned wide and narrowed later: what counts is what was said last.
    sandbox = await ground.spawn();
    await sandbox.put({ mode: "allowlist", allow: [`api.example.com:${echoPort}`] });
    // Tries all the time, by literal and by name.
    await startProcess(sandbox, {
      command: `while :; do for a in ${otherAddress} other.example.com 10.99.0.7; do
        curl -s -m 1 -o /dev/null http://$a/ && echo reached $a; done; done`,
    });
  });
  beforeEach(() => ground.internet.forget());
  afterAll(async () => {
    await ground?.[Symbol.asyncDispose]();
  });

  /** Since the gateway started; it takes a try to count one. */
  const denials = async () => {
    const answer = (await (await fetch(`${sandbox.url}/network`)).json()) as { counts?: { denied: number } };
    return answer.counts?.denied ?? 0;
  };

  /** The allowed name is reached, and of all that was tried meanwhile nothing came out. */
  const expectInForce = async () => {
    await expect
      .poll(async () => (await sandbox.probe.talk(`api.example.com:${echoPort}`, "through")).text, { timeout: pollMs })
      .toBe("through");
    const before = await denials();
    await expect.poll(denials, { timeout: pollMs }).toBeGreaterThan(before);
    const { packets, connections, queries } = await ground.internet.records();
    expect(
      packets.filter(({ destination, destination_port }) => destination !== apiAddress && destination_port !== 53),
    ).toEqual([]);
    expect(new Set(connections.map(({ at }) => at))).toEqual(new Set([`${apiAddress}:${echoPort}`]));
    expect(new Set(queries.map(({ name }) => name))).toEqual(new Set(["api.example.com"]));
  };

  const gateways = () => ground.internet.pidsOf(gateway);

  test("holds while a sandbox tries without end", expectInForce);

  test.for(["SIGTERM", "SIGKILL"] as const)(
    "is in force before the first byte after a restart of the server by %s",
    { timeout: 120_000 },
    async (signal) => {
      await ground.restart(signal);
      await expectInForce();
      expect(await gateways()).toHaveLength(1);
    },
  );

  test("is in force before the first byte after the gateway was killed", async () => {
    const [before] = await gateways();
    if (before === undefined) throw new Error("there is no gateway");
    process.kill(before, "SIGKILL");
    await expectInForce();
    expect(await gateways()).not.toContain(before);
  });

  test("lets nothing out while there is no gateway", async () => {
    await ground.internet.forget();
    await ground.server().signal("SIGSTOP"); // nobody starts another
    try {
      for (const pid of await gateways()) process.kill(pid, "SIGKILL");
      await expect.poll(gateways, { timeout: pollMs }).toEqual([]);
      await ground.internet.forget();
      await expect.poll(async () => (await ground.internet.records()).packets, { timeout: pollMs }).toEqual([]);
    } finally {
      await ground.server().signal("SIGCONT");
    }
    await expectInForce();
  });

  test("changed after all that, is in force for the one that tries", async () => {
    await sandbox.put({ mode: "public" });
    await expect
      .poll(async () => (await ground.internet.records()).connections.map(({ at }) => at), { timeout: pollMs })
      .toContain(`${otherAddress}:80`);
  });
});
