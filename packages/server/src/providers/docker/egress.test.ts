import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readFile, stat } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { noSecrets } from "../../egress/egress.ts";
import { gatewayUser } from "../../lib/gateway-user.ts";
import { compilePolicy, publicPolicy } from "../../sandbox/network-policy.ts";
import { sandboxId, sh, signal, until } from "../contract/suite.testing.ts";
import { realGateway, standInGateway, web, withDoor } from "../egress-gateway.testing.ts";
import { type HostHelper, hostHelper } from "../host-helper.ts";
import type { Provider, Runtime, SandboxSpec, SecurityProfile } from "../provider.ts";
import { sandboxSpec } from "../sandbox-spec.testing.ts";
import { engineLacks, remappedRoot } from "./docker-engine.testing.ts";
import { type DockerUnderTest, dockerSettings, dockerUnderTest } from "./docker-provider.testing.ts";

const lacks = engineLacks();

/** Tries to connect to a socket as another user of this host, and says what came of it. */
const connectAs = (user: number, path: string): string => {
  const program = `
    const [user, path] = [Number(process.argv[1]), process.argv[2]];
    process.setgroups([]); process.setgid(user); process.setuid(user);
    const socket = require("node:net").connect(path);
    socket.once("connect", () => { console.log("connected"); socket.destroy(); });
    socket.once("error", ({ code }) => console.log(code));`;
  return spawnSync(process.execPath, ["-e", program, String(user), path], { encoding: "utf8" }).stdout.trim();
};

const largeBytes = 3_000_000;

/** On this host's loopback: says hello, or at /large much more. */
const webServer = async (heard: (url: string) => void) => {
  const server = createServer(({ url = "" }, response) => {
    heard(url);
    response.end(url === "/large" ? Buffer.alloc(largeBytes) : "hello");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
};

describe.each<{ engineIs: string; remap: boolean; profiles: readonly SecurityProfile[] }>([
  { engineIs: "plain", remap: false, profiles: ["restricted"] },
  { engineIs: "remapped", remap: true, profiles: ["default", "restricted"] },
])("outbound network of docker over a $engineIs engine", ({ remap, profiles }) => {
  let under: DockerUnderTest;
  let provider: Provider;
  let missing = lacks;

  const spec = (more: Partial<SandboxSpec> = {}): SandboxSpec =>
    sandboxSpec({ id: sandboxId(), network: "egress", security: profiles[0] ?? "restricted", ...more });
  const test = (name: string, body: () => Promise<void>): void =>
    it(name, async (context) => {
      if (missing !== undefined) context.skip(missing);
      await body();
    });
  const within = (body: (runtime: Runtime, path: string) => Promise<void>, more?: Partial<SandboxSpec>) =>
    withDoor(provider, spec(more), body);
  const doorOf = (id: string): string => join(under.dataRoot, "egress", id);

  beforeAll(async () => {
    if (missing !== undefined) return;
    under = await dockerUnderTest({ remap });
    provider = under.open();
    await provider.fingerprint(signal());
    if (!existsSync("/dev/net/tun")) missing = "no TUN";
  });
  afterAll(async () => {
    await under?.close();
  });
  afterEach(async () => {
    if (missing !== undefined) return;
    for (const one of await provider.list(signal())) await provider.reap(one.sandboxId, signal());
  });

  for (const security of profiles) {
    test(`carries what the gateway allows, by name and by address, with the profile ${security}`, async () => {
      await within(
        async ({ guest }, path) => {
          const gateway = standInGateway(path, web);
          const named = await sh(guest, "wget -q -O - http://api.example.com:8080/");
          expect(named).toMatchObject({ out: "api.example.com:8080\n", exitCode: 0 });
          expect(await sh(guest, "wget -q -O - http://203.0.113.7/")).toMatchObject({ out: "203.0.113.7:80\n" });
          gateway.kill();
        },
        { security },
      );
    });

    test(`gives it the device and neither the right to change it nor what makes more, with the profile ${security}`, async () => {
      await within(
        async ({ guest }) => {
          const { out, err } = await sh(
            guest,
            "ip -4 -o addr show eth0; cat /sys/class/net/eth0/mtu; ip route; ip -6 addr show eth0; ls /dev/net; ip link set eth0 mtu 1500; ip route del default; ls /sys/class/net; cat /etc/resolv.conf; echo x >> /etc/resolv.conf",
          );
          expect(out).toBe(
            [
              "2: eth0    inet 198.18.0.1/32 scope global eth0\\       valid_lft forever preferred_lft forever",
              "65520",
              "default dev eth0 scope link ",
              "eth0",
              "lo",
              "nameserver 198.18.0.2",
              "",
            ].join("\n"),
          );
          expect(err.match(/not permitted/g)).toHaveLength(2);
          expect(err).toMatch(/\/dev\/net: No such file/);
          expect(err).toMatch(/resolv.conf: (Read-only|Permission denied)/);
        },
        { security },
      );
    });

    test(`has a door that nobody inside passes, with the profile ${security}`, async () => {
      await within(
        async ({ guest }, path) => {
          const attempts =
            "cd /dev/.stacyvm-egress; ls /dev/.stacyvm-egress; chmod 777 /dev/.stacyvm-egress; rm -rf /dev/.stacyvm-egress/egress.sock; ls -ld /dev/.stacyvm-egress";
          const { out, err } = await sh(guest, attempts);
          expect(out).toMatch(/^drwx------ /);
          expect(err.match(/Permission denied|not permitted|can't cd/g)?.length).toBeGreaterThanOrEqual(4);
          expect((await stat(path)).isSocket()).toBe(true);
        },
        { security },
      );
    });
  }

  test("refuses what the gateway denies, and answers other UDP with an error", async () => {
    await within(async ({ guest }, path) => {
      const gateway = standInGateway(path, () => ({ answer: { error: "denied" } }));
      expect((await sh(guest, "wget -q -O - http://169.254.169.254/")).err).toMatch(/Connection refused/);
      expect((await sh(guest, "nslookup api.example.com")).out).toMatch(/REFUSED/);
      const datagram = `tftp -g -r file -l - 203.0.113.7 2>&- & until grep -q '^IcmpMsg:.*InType3' /proc/net/snmp; do :; done; kill $!; echo told`;
      expect((await sh(guest, datagram)).out).toBe("told\n");
      gateway.kill();
    });
  });

  test("reaches nothing without a gateway, and nothing at all where the sandbox has no network", async () => {
    await within(async ({ guest }) => {
      expect((await sh(guest, "wget -q -O - http://203.0.113.7/")).err).toMatch(/Connection refused/);
    });
    await within(
      async ({ guest, egressDoor, sandboxId: id }) => {
        expect([egressDoor, existsSync(doorOf(id))]).toEqual([undefined, false]);
        expect((await sh(guest, "wget -q -O - http://203.0.113.7/")).err).toMatch(/unreachable/);
        expect((await sh(guest, "ls /sys/class/net")).out).toBe("lo\n");
      },
      { network: "none" },
    );
  });

  test("has a door for the gateway's user alone", async () => {
    await within(async ({ sandboxId: id }, path) => {
      expect(path).toBe(join(doorOf(id), "egress.sock"));
      const gateway = gatewayUser(under.dataRoot);
      const own = { uid: gateway, gid: gateway };
      expect(await stat(path)).toMatchObject({ ...own, mode: 0o140600 });
      expect(await stat(doorOf(id))).toMatchObject({ ...own, mode: 0o40700 });
      expect(await stat(join(doorOf(id), ".."))).toMatchObject({ uid: 0, gid: gateway, mode: 0o40710 });
      for (const other of [1000, 4242, remappedRoot]) expect(connectAs(other, path)).toBe("EACCES");
      expect(connectAs(gateway, path)).toBe("connected");
    });
  });

  test("is closed to other users of the host already while the agent starts", async () => {
    const id = sandboxId();
    const spawning = provider.spawn(spec({ id }), signal());
    const path = join(doorOf(id), "egress.sock");
    await until(async () => existsSync(path), Boolean);
    // Its own user's: the socket itself would let it in.
    const seen = connectAs(remap ? remappedRoot : 1000, path);
    await (await spawning).destroy(signal());
    expect(seen).toBe("EACCES");
  });

  test("is found again after a restart of the server, and carries on", async () => {
    const runtime = await provider.spawn(spec(), signal());
    await runtime.guest[Symbol.asyncDispose]();
    await under.crash();
    provider = under.open();
    const attached = await provider.attach(runtime.sandboxId, runtime.ref, signal());
    if (attached === undefined) throw new Error("it is gone");
    expect(attached.egressDoor).toEqual(runtime.egressDoor);
    expect(attached.egressDoor).toEqual({ path: join(doorOf(runtime.sandboxId), "egress.sock"), guestMade: true });
    const gateway = standInGateway(attached.egressDoor?.path ?? "", web);
    expect((await sh(attached.guest, "wget -q -O - http://203.0.113.7/")).out).toBe("203.0.113.7:80\n");
    gateway.kill();
    await attached.destroy(signal());
    expect(existsSync(doorOf(runtime.sandboxId))).toBe(false);
  });

  test("leaves nothing of a sandbox that is killed, nor of a spawn that a crash cut off", async () => {
    const interfaces = Object.keys(networkInterfaces());
    const runtime = await provider.spawn(spec(), signal());
    await under.end?.(runtime);
    const killed = async () => (await provider.list(signal())).find(({ sandboxId: id }) => id === runtime.sandboxId);
    expect((await until(killed, (one) => one?.alive === false))?.alive).toBe(false);
    await provider.reap(runtime.sandboxId, signal());
    expect(existsSync(doorOf(runtime.sandboxId))).toBe(false);
    expect(Object.keys(networkInterfaces())).toEqual(interfaces);
    const half = sandboxId();
    await mkdir(doorOf(half));
    expect(await provider.list(signal())).toMatchObject([{ sandboxId: half, alive: false }]);
    await provider.reap(half, signal());
    expect([existsSync(doorOf(half)), await provider.list(signal())]).toEqual([false, []]);
  });

  test("fails a spawn whose network can't be made, and leaves nothing of it", async () => {
    // A host program that has another data root, and so finds no door.
    const dataRoot = join(under.dataRoot, "other");
    const programPath = join(under.dataRoot, "programs/stacyvm-host");
    await using helper = hostHelper({ programPath, agentPath: under.agentPath, dataRoot });
    const blind = under.open({ helper });
    const id = sandboxId();
    const why = expect.stringContaining(`${id} has no egress door`);
    await expect(blind.spawn(spec({ id }), signal())).rejects.toMatchObject({ reason: "spawn_failed", message: why });
    expect([existsSync(doorOf(id)), await provider.list(signal())]).toEqual([false, []]);
  });

  test("offers it by a device, and says why where it can't", async () => {
    expect(provider.capabilities).toMatchObject({ networks: ["none", "egress"], egressLevel: "transparent" });
    expect(provider.publicConfig).toMatchObject({ outbound_network: "transparent" });
    const silent = { call: async () => Promise.reject(new Error("no host program answers")) };
    const other = under.open({ helper: silent as unknown as HostHelper });
    await other.fingerprint(signal());
    expect(other.capabilities).toMatchObject({ networks: ["none"], noEgress: "no host program answers" });
    await expect(other.spawn(spec({ security: "restricted" }), signal())).rejects.toMatchObject({
      reason: "not_supported",
      message: expect.stringContaining("no host program answers"),
    });
  });

  it.for<{ by: string; runtime?: "runsc"; agentTransport?: "stream" }>([
    { by: "a stream", agentTransport: "stream" },
    // gVisor doesn't start there with directories of this host's.
    ...(remap ? [] : [{ by: "gVisor's socket", runtime: "runsc" as const }]),
    { by: "a stream from gVisor", runtime: "runsc", agentTransport: "stream" },
  ])("goes by $by through the server to the gateway, also after the server was started anew", async (way, context) => {
    const without = missing ?? engineLacks(way.runtime ?? "runc");
    if (without !== undefined) context.skip(without);
    const { by: _, ...changed } = way;
    const settings = { ...dockerSettings(under.engine.socket), ...changed };
    const other = under.open({ settings });
    await other.fingerprint(signal());
    expect(other.capabilities).toMatchObject({ networks: ["none", "egress"], egressLevel: "proxy" });
    expect(other.publicConfig).toMatchObject({ outbound_network: "proxy" });
    const heard: string[] = [];
    await using site = await webServer((url) => heard.push(url));
    await using gateway = realGateway(`127.0.0.1/32:${site.port}`, gatewayUser(under.dataRoot));
    const ask = (path: string) => `http_proxy=http://127.0.0.1:3128 wget -qO- http://127.0.0.1:${site.port}/${path}`;
    const runtime = await other.spawn(spec({ security: "restricted" }), signal());
    try {
      const { egressDoor } = runtime;
      if (egressDoor === undefined) throw new Error("it has no egress door");
      const { mode, uid } = await stat(egressDoor.path);
      expect([mode & 0o777, uid, egressDoor.isRelayed]).toEqual([0o600, gatewayUser(under.dataRoot), true]);
      expect(connectAs(remappedRoot + 1000, egressDoor.path)).toBe("EACCES");
      await gateway.admit(runtime.sandboxId, egressDoor, compilePolicy("sandbox", publicPolicy), noSecrets);
      expect(await sh(runtime.guest, ask("first"))).toMatchObject({ out: "hello" });
      const large = `http_proxy=http://127.0.0.1:3128 wget -qO- http://127.0.0.1:${site.port}/large | wc -c`;
      expect(await sh(runtime.guest, large)).toMatchObject({ out: `${largeBytes}\n` });

      await runtime.guest[Symbol.asyncDispose]();
      await other[Symbol.asyncDispose]();
      const again = await under.open({ settings }).attach(runtime.sandboxId, runtime.ref, signal());
      if (again?.egressDoor === undefined) throw new Error("it has no egress door after the start");
      expect(again.egressDoor).toEqual(egressDoor);
      const answer = async () => (await sh(again.guest, ask("again"))).out;
      expect(await until(answer, (out) => out === "hello")).toBe("hello");
      expect(heard).toEqual(["/first", "/large", "/again"]);
      await again.destroy(signal());
      expect(existsSync(egressDoor.path)).toBe(false);
    } finally {
      await under.open({ settings }).reap(runtime.sandboxId, signal());
    }
  });

  // Last: the engine's images and containers are as after a crash.
  test("names our resolver and nothing else after a restart of the engine too", async () => {
    await under.engine.restart();
    await within(async ({ guest }) => {
      expect((await sh(guest, "cat /etc/resolv.conf")).out).toBe("nameserver 198.18.0.2\n");
    });
    expect(await readFile(join(under.dataRoot, "egress/resolv.conf"), "utf8")).toBe("nameserver 198.18.0.2\n");
  });
});
