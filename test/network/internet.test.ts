import { fork } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { networkInterfaces } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { banner, bannerPort, echoPort } from "./far-ends.ts";
import { cannotNetwork, type Internet, startInternet } from "./internet.ts";
import { networkLeftOver, settledNetworkLeftOver } from "./left-over.ts";
import { addresses, ownPorts, uplink, worldLink } from "./plan.ts";
import { type Probe, probeBy } from "./probe.ts";

const reason = cannotNetwork();
const settleMs = 10_000;
const resolver = `${addresses.resolver4}:53`;

describe.skipIf(reason !== undefined)(`the test Internet${reason === undefined ? "" : ` (${reason})`}`, () => {
  let internet: Internet;
  let probe: Probe;

  beforeAll(async () => {
    internet = await startInternet();
    probe = probeBy((argv) => internet.run(...argv), internet.probePath, internet.caFile);
  });
  beforeEach(() => internet.forget());
  afterAll(async () => {
    await internet?.[Symbol.asyncDispose]();
  });

  describe("names", () => {
    test.for(["udp", "tcp"] as const)("resolve by %s as they were told, and every query is recorded", async (by) => {
      await internet.say({
        "api.example.com": { a: ["203.0.113.20"], aaaa: ["2001:db8::20"] },
        "alias.example.com": { cname: "api.example.com" },
        "down.example.com": { fails: "SERVFAIL" },
        "*.tunnel.example.com": { txt: "answer" },
        "mapped.example.com": { aaaa: ["::ffff:10.0.0.7"] },
      });
      expect(await probe.ask(by, resolver, "API.example.com", "A")).toMatchObject({
        code: "NOERROR",
        answers: [{ name: "API.example.com", type: "A", data: "203.0.113.20" }],
      });
      expect((await probe.ask(by, resolver, "alias.example.com", "A")).answers.map(({ data }) => data)).toEqual([
        "api.example.com",
        "203.0.113.20",
      ]);
      expect((await probe.ask(by, resolver, "mapped.example.com", "AAAA")).answers[0]?.data).toBe(
        "0000:0000:0000:0000:0000:ffff:0a00:0007",
      );
      expect((await probe.ask(by, resolver, "down.example.com", "A")).code).toBe("SERVFAIL");
      expect((await probe.ask(by, resolver, "none.example.com", "A")).code).toBe("NXDOMAIN");
      expect((await probe.ask(by, resolver, "api.example.com", "TXT")).answers).toEqual([]);
      expect((await probe.ask(by, "8.8.8.8:53", "c2VjcmV0.tunnel.example.com", "TXT")).answers[0]?.data).toBe("answer");
      const { queries } = await internet.records();
      expect(queries).toHaveLength(7);
      expect(queries.at(-1)).toEqual({
        name: "c2VjcmV0.tunnel.example.com",
        type: "TXT",
        transport: by,
        at: "8.8.8.8",
        from: addresses.host4,
      });
    });

    test("may be answered anew each time, and by another first", async () => {
      await internet.say({
        "rebind.example.com": [{ a: ["203.0.113.20"], ttl: 0 }, { a: ["10.0.0.7"] }],
        "forged.example.com": { a: ["203.0.113.20"], forged: { as: "id", a: "10.0.0.7" } },
      });
      const first = async (name: string) => (await probe.ask("udp", resolver, name, "A")).answers[0]?.data;
      expect([await first("rebind.example.com"), await first("rebind.example.com")]).toEqual([
        "203.0.113.20",
        "10.0.0.7",
      ]);
      // The probe takes whatever comes first.
      expect(await first("forged.example.com")).toBe("10.0.0.7");
    });

    test("may never be answered", async () => {
      await internet.say({ "silent.example.com": { fails: "silence" } });
      expect((await probe.ask("udp", resolver, "silent.example.com", "A")).code).toBe("timeout");
      expect((await internet.records()).queries).toHaveLength(1);
    });
  });

  describe("far ends", () => {
    test.for([
      ["a public address", "203.0.113.20"],
      ["a public address of version 6", "[2001:db8::20]"],
      ["a cloud's metadata", "169.254.169.254"],
      ["a cloud's metadata of version 6", "[fd00:ec2::254]"],
      ["a neighbour", "10.99.0.7"],
      ["a translated address", "[64:ff9b::a63:7]"],
      ["a reserved address", "240.0.0.7"],
      ["an address of a real network", "8.8.4.4"],
    ])("answer at %s, and record who was asked for", async ([, address = ""]) => {
      expect((await probe.talk(`${address}:80`, "GET /path HTTP/1.0\r\nhost: asked.example\r\n\r\n")).text).toContain(
        `reached ${address}:80 as asked.example`,
      );
      const { connections, packets } = await internet.records();
      expect(connections).toMatchObject([
        { at: `${address}:80`, requests: [{ method: "GET", url: "/path", host: "asked.example" }] },
      ]);
      expect(packets).toMatchObject([
        { protocol: "tcp", destination: address.replace(/[[\]]/g, ""), destination_port: 80 },
      ]);
    });

    test("speak TLS under several names, and record the one asked for, Host, and bytes", async () => {
      const one = await probe.https("https://one.example.com/bytes/100000", { address: "203.0.113.30:443" });
      expect([one.status, one.text.length]).toEqual([200, 65_536]);
      const two = await probe.https("https://two.example.com/", {
        address: "203.0.113.30:443",
        sni: "one.example.com",
        host: "hidden.example.com",
      });
      expect(two.text).toBe("reached 203.0.113.30:443 as hidden.example.com\n");
      expect((await probe.https("https://other.example/", { address: "203.0.113.30:443" })).error).toContain("x509");
      const { connections } = await internet.records();
      expect(connections.map(({ sni }) => sni)).toEqual(["one.example.com", "one.example.com", "other.example"]);
      expect(connections.map(({ requests }) => requests.map(({ host }) => host))).toEqual([
        ["one.example.com"],
        ["hidden.example.com"],
        [],
      ]);
      for (const { received } of connections) expect(received).toBeGreaterThan(200);
    });

    test("echo, speak first, redirect, and serve files", async () => {
      expect((await probe.talk(`203.0.113.40:${echoPort}`, "said")).text).toBe("said");
      expect((await probe.talk(`203.0.113.40:${bannerPort}`)).text).toBe(banner);
      const redirect = "GET /redirect?to=http://10.0.0.7/ HTTP/1.0\r\n\r\n";
      expect((await probe.talk("203.0.113.40:80", redirect)).text).toContain("location: http://10.0.0.7/");
      await mkdir(join(internet.directory, "www/files.example"), { recursive: true });
      await writeFile(join(internet.directory, "www/files.example/index.html"), "a page\n");
      const page = await probe.talk("203.0.113.40:80", "GET / HTTP/1.0\r\nhost: files.example\r\n\r\n");
      expect(page.text).toContain("a page");
      const { connections } = await internet.records();
      expect(connections.find(({ at }) => at.endsWith(`:${echoPort}`))).toMatchObject({ text: "said", received: 4 });
    });

    test("a datagram, an echo and a packet of any other kind are seen on the uplink", async () => {
      await probe.datagram("198.51.100.9:4433", "quic?");
      expect(await probe.raw("192.0.2.9")).toMatchObject({ icmp: "sent", raw: "sent" });
      const { packets } = await internet.records();
      const [udp] = packets.filter(({ protocol }) => protocol === "udp");
      expect(Buffer.from(udp?.payload ?? "", "base64").toString()).toBe("quic?");
      expect(new Set(packets.map(({ protocol }) => protocol))).toEqual(new Set(["udp", "icmp", "253"]));
    });

    test.for(["127.0.0.1", "[::1]", addresses.host4, `[${addresses.host6}]`])(
      "the host's own ports at %s record who came, and nothing leaves the host",
      async (address) => {
        for (const port of ownPorts)
          expect((await probe.talk(`${address}:${port}`)).text).toBe("a service of the host\n");
        const { own, loopback, packets } = await internet.records();
        expect(own).toHaveLength(ownPorts.length);
        expect(loopback.map(({ destination_port }) => destination_port)).toEqual(ownPorts);
        expect(packets).toEqual([]);
      },
    );
  });

  describe("walls", () => {
    let reached: string[];
    let servers: Server[];
    const real: { readonly address: string; readonly port: number }[] = [];

    beforeAll(async () => {
      reached = [];
      const outside = Object.values(networkInterfaces())
        .flatMap((all) => all ?? [])
        .filter(({ address, scopeid }) => address !== "" && !(scopeid !== undefined && scopeid > 0));
      servers = await Promise.all(
        outside.map(
          ({ address }) =>
            new Promise<Server>((done, fail) => {
              const server = createServer((socket) => {
                reached.push(address);
                socket.end();
              });
              server.once("error", fail).listen(0, address, () => {
                real.push({ address, port: (server.address() as { port: number }).port });
                done(server);
              });
            }),
        ),
      );
    });
    afterAll(() => {
      for (const server of servers) server.close();
    });

    test("the host has one link, and from it nothing of this machine is reached, though a route is planted", async () => {
      const links = JSON.parse((await internet.run("ip", "-json", "link")).stdout) as readonly { ifname: string }[];
      expect(links.map(({ ifname }) => ifname)).toEqual(["lo", uplink]);
      expect(real.length).toBeGreaterThan(0);
      for (const { address, port } of real) {
        const version = address.includes(":") ? "-6" : "-4";
        const via = version === "-6" ? addresses.router6 : addresses.router4;
        const local = address === "127.0.0.1" || address === "::1";
        if (!local) await internet.run("ip", version, "route", "replace", address, "via", via, "dev", uplink, "onlink");
        const { connected } = await probe.talk(version === "-6" ? `[${address}]:${port}` : `${address}:${port}`, "x");
        expect({ address, connected }).toEqual({ address, connected: false });
      }
      expect(reached).toEqual([]);
    });

    test("the world beyond has that link and no other", async () => {
      expect(await linksOf(internet.holders.world)).toEqual(["lo", worldLink]);
    });
  });
});

/** Of a process's network namespace. */
const linksOf = async (pid: number): Promise<readonly string[]> => {
  const text = await readFile(`/proc/${pid}/net/dev`, "utf8");
  return text.split("\n").flatMap((line) => /^\s*([^\s:]+):/.exec(line)?.[1] ?? []);
};

describe.skipIf(reason !== undefined)("the end of a test Internet", () => {
  test("leaves nothing", async () => {
    const internet = await startInternet();
    expect(await networkLeftOver(internet.directory)).not.toEqual([]);
    await internet[Symbol.asyncDispose]();
    expect(await settledNetworkLeftOver(internet.directory, settleMs)).toEqual([]);
  });

  test("leaves nothing though whoever started it is killed", async () => {
    const child = fork(resolve(import.meta.dirname, "internet-program.ts"), { execArgv: [], stdio: "inherit" });
    const directory = await new Promise<string>((done, fail) => {
      child.once("message", (message) => done(String(message)));
      child.once("exit", (code) => fail(new Error(`it ended with ${code}`)));
    });
    const left = await networkLeftOver(directory);
    expect(left.map((one) => one.split(":")[0])).toEqual(expect.arrayContaining(["processes", "files"]));
    child.removeAllListeners("exit");
    child.kill("SIGKILL");
    expect(await settledNetworkLeftOver(directory, settleMs)).toEqual([]);
    expect(existsSync(directory)).toBe(false);
  });
});
