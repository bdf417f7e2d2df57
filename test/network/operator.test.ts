import { afterEach, describe, expect, test } from "vitest";
import { post } from "../e2e/api.ts";
import { type Ground, startGround } from "./ground.ts";
import { cannotReach } from "./internet.ts";
import { addresses, ownPorts } from "./plan.ts";
import { apiAddress, otherAddress } from "./row.ts";

const reason = cannotReach();
const request = "GET / HTTP/1.0\r\n\r\n";

describe.skipIf(reason !== undefined)(`the operator's network${reason === undefined ? "" : ` (${reason})`}`, () => {
  let ground: Ground | undefined;
  const begin = async (config: Readonly<Record<string, string>>): Promise<Ground> => {
    ground = await startGround({ config });
    await ground.internet.say({
      "api.example.com": { a: [apiAddress] },
      "other.example.com": { a: [otherAddress] },
      "inner.example.net": { a: ["10.99.0.7"] },
    });
    return ground;
  };
  afterEach(async () => {
    await ground?.[Symbol.asyncDispose]();
    ground = undefined;
  });

  test("bounds what a caller may allow", async () => {
    const { spawn, internet } = await begin({
      "network.mode": "allowlist",
      "network.allow": "api.example.com:80,203.0.113.64/26:80",
      "network.deny": "203.0.113.70",
    });
    for (const policy of [
      undefined,
      { mode: "public" } as const,
      { mode: "allowlist", allow: ["other.example.com", "*.example.com", "0.0.0.0/0"] } as const,
    ]) {
      await using sandbox = await spawn(policy);
      await internet.forget();
      for (const target of ["other.example.com:80", `${otherAddress}:80`, "203.0.113.70:80", "api.example.com:443"])
        expect({ target, ...(await sandbox.probe.talk(target, request)) }).toMatchObject({ target, connected: false });
      const { packets } = await internet.records();
      expect(packets.filter(({ destination_port }) => destination_port !== 53)).toEqual([]);
      const told = await sandbox.probe.talk("api.example.com:80", "GET / HTTP/1.0\r\nhost: api.example.com\r\n\r\n");
      expect(told.text).toContain(`reached ${apiAddress}:80`);
      expect((await sandbox.probe.talk("203.0.113.71:80", request)).text).toContain("reached");
      if (policy === undefined) await sandbox.put({ mode: "public" });
      expect((await sandbox.probe.talk("other.example.com:80", request)).connected).toBe(false);
    }
  });

  test("opens exactly the addresses and ports that it names", async () => {
    const { spawn, internet } = await begin({
      "network.open": `10.99.0.7/32:80,${addresses.host4}/32:${ownPorts[0]}`,
    });
    await using sandbox = await spawn();
    expect((await sandbox.probe.talk("10.99.0.7:80", request)).text).toContain("reached 10.99.0.7:80");
    expect((await sandbox.probe.talk("inner.example.net:80", request)).text).toContain("reached 10.99.0.7:80");
    expect((await sandbox.probe.talk(`${addresses.host4}:${ownPorts[0]}`)).text).toBe("a service of the host\n");
    await internet.forget();
    for (const target of ["10.99.0.7:443", "10.99.0.8:80", `${addresses.host4}:${ownPorts[1]}`, "127.0.0.1:80"])
      expect({ target, ...(await sandbox.probe.talk(target, request)) }).toMatchObject({ target, connected: false });
    const { packets, own } = await internet.records();
    expect([packets.filter(({ destination_port }) => destination_port !== 53), own]).toEqual([[], []]);
    // What the operator opens for all, a sandbox's own allowlist still leaves out.
    await sandbox.put({ mode: "allowlist", allow: ["api.example.com"] });
    expect((await sandbox.probe.talk("10.99.0.7:80", request)).connected).toBe(false);
  });

  test("may be none for everybody", async () => {
    const { spawn, server, internet } = await begin({ "network.mode": "none" });
    const refused = await post(`${server().url}/api/v1/sandboxes`, { network: { mode: "public" } });
    expect([refused.status, await refused.json()]).toMatchObject([403, { reason: "policy_denied" }]);
    await using sandbox = await spawn();
    expect((await sandbox.sh("ls /sys/class/net")).stdout).toBe("lo\n");
    expect((await sandbox.probe.talk("api.example.com:80", request)).connected).toBe(false);
    expect(await internet.pidsOf("stacyvm-egress")).toEqual([]);
  });
});
