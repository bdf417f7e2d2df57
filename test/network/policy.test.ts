import type { NetworkDecision } from "stacyvm";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startProcess, type TestProcess } from "../e2e/process-api.ts";
import { banner, bannerPort, echoPort } from "./far-ends.ts";
import { followed, type Ground, type NetworkSandbox, probeInside, startGround } from "./ground.ts";
import { cannotReach } from "./internet.ts";
import { addresses } from "./plan.ts";
import { apiAddress, otherAddress } from "./row.ts";

const reason = cannotReach();
beforeEach(({ skip }) => {
  if (reason !== undefined) skip(reason);
});
const pollMs = 15_000;
const request = "GET / HTTP/1.0\r\n\r\n";

const zone = {
  "api.example.com": { a: [apiAddress], aaaa: ["2001:db8::20"] },
  "other.example.com": { a: [otherAddress] },
  "deep.below.example.com": { a: [apiAddress] },
  "xn--bcher-kva.example.com": { a: [apiAddress] },
  "alias.example.com": { cname: "api.example.com" },
  "down.example.com": { fails: "SERVFAIL" },
  "silent.example.com": { fails: "silence" },
  "empty.example.com": {},
  "inner.example.net": { a: ["10.99.0.7"] },
} as const;

describe("a sandbox's network", () => {
  let ground: Ground;
  beforeAll(async () => {
    if (reason !== undefined) return;
    ground = await startGround();
    await ground.internet.say(zone);
  });
  beforeEach(() => ground.internet.forget());
  afterAll(async () => {
    await ground?.[Symbol.asyncDispose]();
  });

  const connections = async () => (await ground.internet.records()).connections;

  /** A program inside that holds a connection; resolves once its far end has heard of it. */
  const hold = async (sandbox: NetworkSandbox, name: string, address: string): Promise<TestProcess> => {
    const args = ["hold", `${name}:${echoPort}`];
    const held = await startProcess(sandbox, { command: probeInside, args, mode: "argv" });
    await expect
      .poll(async () => (await connections()).find(({ at }) => at === `${address}:${echoPort}`)?.text, {
        timeout: pollMs,
      })
      .toBe("held\n");
    return held;
  };

  describe("by default", () => {
    let sandbox: NetworkSandbox;
    beforeAll(async () => {
      if (reason !== undefined) return;
      sandbox = await ground.spawn();
    });
    afterAll(() => sandbox?.[Symbol.asyncDispose]());

    test("reaches public names by TLS, and the far end has the name and the bytes", async () => {
      const { status, text } = await sandbox.probe.https("https://api.example.com/bytes/10000");
      expect([status, text.length]).toEqual([200, 10_000]);
      expect(await connections()).toMatchObject([
        {
          at: `${apiAddress}:443`,
          from: `::ffff:${addresses.host4}`,
          sni: "api.example.com",
          requests: [{ host: "api.example.com", url: "/bytes/10000" }],
        },
      ]);
    });

    test("reaches public literals", async () => {
      expect((await sandbox.probe.talk(`${otherAddress}:80`, request)).text).toContain(`reached ${otherAddress}:80`);
      expect(await connections()).toHaveLength(1);
    });

    test("hears whoever speaks first", async () => {
      expect((await sandbox.probe.talk(`api.example.com:${bannerPort}`)).text).toBe(banner);
    });

    test("a side that has said all is told so, and still gets the answer", async () => {
      expect((await sandbox.probe.talk(`api.example.com:${echoPort}`, "said")).text).toBe("said");
      expect(await connections()).toMatchObject([{ text: "said", received: 4, ended: true }]);
    });

    test("a port where nobody listens is refused, and said so", async () => {
      expect(await sandbox.probe.talk("api.example.com:81")).toMatchObject({
        connected: false,
        error: "connection refused",
      });
    });

    test("a datagram is refused at once, and goes nowhere", async () => {
      for (const address of [apiAddress, "api.example.com", "10.99.0.7"])
        expect(await sandbox.probe.datagram(`${address}:443`, "data")).toMatchObject({ error: "connection refused" });
      const { packets } = await ground.internet.records();
      expect(packets.filter(({ destination_port }) => destination_port !== 53)).toEqual([]);
    });

    test.for([
      ["api.example.com", "A", "NOERROR", 1],
      ["API.Example.COM.", "A", "NOERROR", 1],
      ["alias.example.com", "A", "NOERROR", 1],
      ["xn--bcher-kva.example.com", "A", "NOERROR", 1],
      ["api.example.com", "AAAA", "NOERROR", 0],
      ["api.example.com", "HTTPS", "NOERROR", 0],
      ["empty.example.com", "A", "NOERROR", 0],
      ["none.example.com", "A", "NXDOMAIN", 0],
      ["down.example.com", "A", "SERVFAIL", 0],
    ] as const)("%s %s is answered with %s and %i records", async ([name, type, code, count]) => {
      const told = await sandbox.probe.ask("udp", "198.18.0.2:53", name, type);
      expect([told.code, told.answers.length]).toEqual([code, count]);
      for (const { data } of told.answers) expect(data).toMatch(/^198\.1[89]\./);
    });

    test("a resolver that doesn't answer gives SERVFAIL, not a hang", async () => {
      expect(await sandbox.probe.ask("udp", "198.18.0.2:53", "silent.example.com", "A")).toMatchObject({
        code: "SERVFAIL",
      });
      // Before the programs' own patience ends, which is five seconds.
      expect((await sandbox.probe.lookup("silent.example.com")).addresses).toBeNull();
    });

    test("a name keeps its address, and the address its name", async () => {
      const first = await sandbox.probe.ask("udp", "198.18.0.2:53", "api.example.com", "A");
      await sandbox.probe.ask("udp", "198.18.0.2:53", "other.example.com", "A");
      const again = await sandbox.probe.ask("tcp", "198.18.0.2:53", "api.example.com", "A");
      expect(again.answers.map(({ data }) => data)).toEqual(first.answers.map(({ data }) => data));
      const reversed = (first.answers[0]?.data ?? "").split(".").reverse().join(".");
      const { answers } = await sandbox.probe.ask("udp", "198.18.0.2:53", `${reversed}.in-addr.arpa`, "PTR");
      expect(answers.map(({ data }) => data)).toEqual(["api.example.com"]);
    });
  });

  describe("an allowlist", () => {
    let sandbox: NetworkSandbox;
    beforeAll(async () => {
      if (reason !== undefined) return;
      sandbox = await ground.spawn({
        mode: "allowlist",
        allow: ["api.example.com:443", "*.below.example.com:80", "203.0.113.64/26:80", "bücher.example.com:80"],
      });
    });
    afterAll(() => sandbox?.[Symbol.asyncDispose]());

    test.for(["https://api.example.com/", "https://API.EXAMPLE.COM/", "https://api.example.com./"])(
      "lets %s out",
      async (url) => {
        expect(await sandbox.probe.https(url, { sni: "api.example.com" })).toMatchObject({ status: 200 });
      },
    );

    test("lets names below a wildcard, networks, and names in other letters out, on their ports", async () => {
      for (const target of ["deep.below.example.com:80", "203.0.113.70:80", "xn--bcher-kva.example.com:80"]) {
        const host = target.split(":")[0];
        const told = await sandbox.probe.talk(target, `GET / HTTP/1.0\r\nhost: ${host}\r\n\r\n`);
        expect({ target, text: told.text }).toEqual({ target, text: expect.stringContaining("reached") });
      }
      expect(await connections()).toHaveLength(3);
    });

    test("refuses all else, and nobody hears of it", async () => {
      for (const target of ["other.example.com:443", "203.0.113.70:443", "203.0.113.130:80", "api.example.com:80"])
        expect((await sandbox.probe.talk(target, request)).connected).toBe(false);
      const told = await sandbox.probe.ask("udp", "198.18.0.2:53", "other.example.com", "A");
      expect([told.code, told.answers]).toEqual(["REFUSED", []]);
      const { packets, queries } = await ground.internet.records();
      expect(packets.filter(({ destination_port }) => destination_port !== 53)).toEqual([]);
      expect(queries.filter(({ name }) => name.startsWith("other"))).toEqual([]);
    });

    test("can't be widened by a rule for what is always denied", async () => {
      await using greedy = await ground.spawn({
        mode: "allowlist",
        allow: ["10.0.0.0/8", "127.0.0.0/8", "inner.example.net", "169.254.169.254:80", `${addresses.host4}:1-65535`],
      });
      for (const target of ["10.99.0.7:80", "inner.example.net:80", "169.254.169.254:80", `${addresses.host4}:5432`])
        expect({ target, ...(await greedy.probe.talk(target, request)) }).toMatchObject({ target, connected: false });
      const { packets, own } = await ground.internet.records();
      expect(packets.filter(({ destination_port }) => destination_port !== 53)).toEqual([]);
      expect(own).toEqual([]);
    });
  });

  test("a deny rule counts before allow rules and the mode", async () => {
    await using sandbox = await ground.spawn({
      mode: "public",
      deny: ["other.example.com", "*.below.example.com", "203.0.113.64/26"],
    });
    for (const target of ["other.example.com:80", "deep.below.example.com:80", "203.0.113.70:80"])
      expect({ target, ...(await sandbox.probe.talk(target, request)) }).toMatchObject({ target, connected: false });
    expect((await sandbox.probe.talk("203.0.113.130:80", request)).text).toContain("reached");
    expect((await connections()).map(({ at }) => at)).toEqual(["203.0.113.130:80"]);
  });

  test("a change cuts what is no longer allowed, and nothing else", async () => {
    await using sandbox = await ground.spawn();
    const kept = await hold(sandbox, "api.example.com", apiAddress);
    const cut = await hold(sandbox, "other.example.com", otherAddress);
    expect(await sandbox.put({ mode: "allowlist", allow: [`api.example.com:${echoPort}`] })).toBe(1);
    expect((await cut.wait()).state).not.toBe("running");
    const at = async (address: string) => (await connections()).find((one) => one.at === `${address}:${echoPort}`);
    await expect.poll(async () => (await at(otherAddress))?.ended, { timeout: pollMs }).toBe(true);
    expect(await at(apiAddress)).toMatchObject({ ended: false });
    expect((await kept.get()).state).toBe("running");
    expect((await sandbox.probe.talk(`other.example.com:${echoPort}`, "x")).connected).toBe(false);
    expect(await sandbox.put({ mode: "public" })).toBe(0);
    expect((await sandbox.probe.talk(`other.example.com:${echoPort}`, "x")).text).toBe("x");
  });

  test("the log has each decision with its reason, its rule and its bytes", async () => {
    await using sandbox = await ground.spawn({
      mode: "allowlist",
      allow: ["api.example.com", "inner.example.net", "none.example.com"],
      deny: ["api.example.com:22"],
    });
    const talk = (target: string, text?: string) => sandbox.probe.talk(target, text);
    expect((await talk(`api.example.com:${echoPort}`, "twelve bytes")).text).toBe("twelve bytes");
    await talk("api.example.com:22", request);
    await talk("other.example.com:80", request);
    await talk("10.99.0.7:80", request);
    await talk("inner.example.net:80", request);
    await talk("none.example.com:80", request);
    await talk("api.example.com:81", request);
    await sandbox.probe.hello("api.example.com:443", "other.example.com");
    await talk("api.example.com:80", "GET / HTTP/1.1\r\nhost: other.example.com\r\n\r\n");
    const seen = async () => await sandbox.log();
    const closed = (all: readonly NetworkDecision[], flow: number | undefined) =>
      all.find((one) => one.type === "closed" && one.flow === flow);
    await expect
      .poll(
        async () => {
          const all = await seen();
          return all.filter(({ type, flow }) => type === "decision" && closed(all, flow) !== undefined).length;
        },
        { timeout: pollMs },
      )
      .toBeGreaterThanOrEqual(1);
    const all = await seen();
    const allowed = all.find(({ port, decision }) => port === echoPort && decision === "allowed");
    expect(allowed).toMatchObject({
      host: "api.example.com",
      rule: "api.example.com",
      reason: "rule",
      address: apiAddress,
    });
    expect(closed(all, allowed?.flow)).toMatchObject({ sent: 12, received: 12 });
    const why = (wanted: Partial<NetworkDecision>) =>
      all
        .filter((one) => Object.entries(wanted).every(([key, value]) => one[key as keyof NetworkDecision] === value))
        .map(({ decision, reason: word }) => `${decision} ${word}`);
    expect(why({ host: "api.example.com", port: 22 })).toEqual(["denied deny_rule"]);
    expect(why({ host: "other.example.com" })).toContain("denied not_allowed");
    expect(why({ address: "10.99.0.7", port: 80 })).toContain("denied always_denied");
    expect(why({ host: "inner.example.net", port: 80 })).toEqual(["denied always_denied"]);
    expect(why({ host: "none.example.com" })).toContain("failed unknown_host");
    expect(why({ host: "api.example.com", port: 81 })).toEqual(["failed refused"]);
    expect(why({ host: "api.example.com", port: 443 })).toContain("denied sni_mismatch");
    expect(why({ host: "api.example.com", port: 80 })).toContain("denied host_mismatch");
  });

  test("the log can be followed", async () => {
    await using sandbox = await ground.spawn();
    await using lines = await followed(sandbox);
    expect(await lines.next()).toMatchObject({ type: "live" });
    await sandbox.probe.talk(`${otherAddress}:80`, request);
    const allowed = await lines.next();
    expect(allowed).toMatchObject({ type: "decision", decision: "allowed", address: otherAddress, reason: "public" });
    expect(await lines.next()).toMatchObject({ type: "closed", flow: allowed.flow, sent: request.length });
    await sandbox.probe.talk("10.99.0.7:80", request);
    expect(await lines.next()).toMatchObject({ decision: "denied", reason: "always_denied", address: "10.99.0.7" });
  });
});
