import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectGuest } from "../guest/agent/connect-guest.ts";
import type { Guest } from "../guest/guest.ts";
import type { ImageRoot } from "../images/image-store.ts";
import { gatewayUser } from "../lib/gateway-user.ts";
import { sandboxId, sh, signal, until } from "./contract/suite.testing.ts";
import { type EgressAnswer, type EgressRequest, standInGateway, withDoor } from "./egress-gateway.testing.ts";
import { buildNative, busyboxImage, killServing, makeTestHost } from "./host.testing.ts";
import { type HostHelper, hostHelper } from "./host-helper.ts";
import { ociProvider } from "./oci/oci.ts";
import { prootProvider } from "./proot/proot.ts";
import type { Provider, Runtime, SandboxSpec } from "./provider.ts";
import { sandboxSpec } from "./sandbox-spec.testing.ts";

const isRoot = process.getuid?.() === 0;
const somebody = 61_234;
const runsc = "/usr/bin/runsc";
const proxied = "http_proxy=http://127.0.0.1:3128";

interface Target {
  readonly name: string;
  readonly runs: boolean;
  readonly user: number;
  readonly guestMade: boolean;
  make(helper: HostHelper): Provider;
}

const proot = (helper: HostHelper) => prootProvider({ serverId: "test", helper, connectGuest, networkMode: "none" });
const targets: readonly Target[] = [
  { name: "proot by root", runs: isRoot, user: 0, guestMade: false, make: proot },
  { name: "proot without root", runs: isRoot, user: somebody, guestMade: false, make: proot },
  {
    name: "oci under runsc",
    runs: isRoot && existsSync(runsc),
    user: 0,
    guestMade: true,
    make: (helper) => ociProvider({ serverId: "test", helper, connectGuest, runtimePath: runsc }),
  },
];

/** Says where it was connected to: to an HTTP request in an answer, to anything else as it is. */
const web = ({ host, address, port }: EgressRequest): EgressAnswer => {
  if (host?.startsWith("denied") || address === "169.254.169.254") {
    return { answer: { error: "denied", message: "the policy doesn't allow it" } };
  }
  return {
    answer: { ok: true },
    carry: (slot) => {
      const body = `${host ?? address}:${port}\n`;
      const say = () => slot.end(`HTTP/1.0 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`).resume();
      // An answer before its question is none to an HTTP client; in a tunnel nobody need ask.
      if (port !== 443) slot.once("data", say).resume();
      else say();
    },
  };
};

/** What comes back for these bytes on one connection to the proxy, which stays open until the proxy ends it. */
const talk = (guest: Guest, text: string) =>
  sh(
    guest,
    `cd /tmp && rm -f f && mkfifo f && exec 3<>f && printf '${text.replaceAll("\r\n", "\\r\\n")}' >&3 && nc 127.0.0.1 3128 <f`,
  );

for (const target of targets) {
  describe.runIf(target.runs)(`outbound network by the proxy of ${target.name}`, () => {
    let host: Awaited<ReturnType<typeof makeTestHost>>;
    let image: ImageRoot;
    let helper: HostHelper;
    let provider: Provider;

    const spec = (more: Partial<SandboxSpec> = {}): SandboxSpec =>
      sandboxSpec({ id: sandboxId(), image, network: "egress", ...more });
    const within = (body: (runtime: Runtime, path: string) => Promise<void>, more?: Partial<SandboxSpec>) =>
      withDoor(provider, spec(more), body);

    beforeAll(async () => {
      host = await makeTestHost();
      image = await busyboxImage(join(host.dataRoot, "images/busybox"));
      let { programPath } = host;
      if (target.user !== 0) {
        programPath = join(host.dataRoot, "programs", "launcher");
        const as = `setpriv --reuid=${target.user} --regid=${target.user} --clear-groups --no-new-privs --`;
        await writeFile(programPath, `#!/bin/sh\nexec ${as} ${host.programPath} "$@"\n`, { mode: 0o755 });
        execFileSync("chown", ["-R", `${target.user}:${target.user}`, host.dataRoot]);
      }
      const env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" };
      helper = hostHelper({ ...host, programPath, env, ...(target.guestMade ? { runtimePath: runsc } : {}) });
      provider = target.make(helper);
      expect((await provider.fingerprint(signal())).missing).toEqual([]);
    });

    afterAll(async () => {
      for (const one of (await provider?.list(signal())) ?? []) await provider.reap(one.sandboxId, signal());
      await helper?.[Symbol.asyncDispose]();
      if (host) await rm(host.dataRoot, { recursive: true });
    });

    it("is offered, and told to be a proxy", () => {
      expect(provider.capabilities).toMatchObject({ networks: ["none", "egress"], egressLevel: "proxy" });
    });

    for (const security of ["default", "restricted"] as const) {
      it(`carries what the gateway allows, by name and by address, with the profile ${security}`, async () => {
        await within(
          async ({ guest }, path) => {
            const gateway = standInGateway(path, web);
            const named = await sh(guest, `${proxied} wget -q -O - http://api.example.com:8080/`);
            expect(named).toMatchObject({ out: "api.example.com:8080\n", exitCode: 0 });
            expect((await sh(guest, `${proxied} wget -q -O - http://203.0.113.7/`)).out).toBe("203.0.113.7:80\n");
            const tunnel = await talk(guest, "CONNECT api.example.com:443 HTTP/1.1\r\n\r\nhello");
            expect(tunnel.out).toMatch(
              /^HTTP\/1.1 200 Connection established\r\n\r\nHTTP\/1.0 200 OK\r\n[\s\S]*api.example.com:443\n$/,
            );
            gateway.kill();
          },
          { security },
        );
      });
    }

    it("refuses what the gateway denies, and says why", async () => {
      await within(async ({ guest }, path) => {
        const gateway = standInGateway(path, web);
        const plain = await sh(guest, `${proxied} wget -q -O - http://169.254.169.254/latest`);
        expect(plain.err).toMatch(/403 Forbidden/);
        const tunnel = await talk(guest, "CONNECT denied.example:443 HTTP/1.1\r\nConnection: close\r\n\r\n");
        expect(tunnel.out).toMatch(/^HTTP\/1.1 403 [\s\S]*denied.example:443: denied: the policy doesn't allow it\n$/);
        gateway.kill();
      });
    });

    it("decides each request of a connection by its own host", async () => {
      await within(async ({ guest }, path) => {
        const gateway = standInGateway(path, web);
        const { out } = await talk(
          guest,
          "GET http://api.example.com/ HTTP/1.1\r\nHost: api.example.com\r\n\r\n" +
            "GET http://denied.example/ HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n",
        );
        expect(out.match(/HTTP\/1.1 \d+/g)).toEqual(["HTTP/1.1 200", "HTTP/1.1 403"]);
        gateway.kill();
      });
    });

    it("lets nothing out beside the proxy, nor anything at all where the sandbox has no network", async () => {
      await within(async ({ guest }, path) => {
        const asked: EgressRequest[] = [];
        const gateway = standInGateway(path, (request) => {
          asked.push(request);
          return web(request);
        });
        const { err } = await sh(guest, "wget -q -O - http://203.0.113.7/");
        expect(err).toMatch(/unreachable|No route/);
        expect((await sh(guest, "nslookup -timeout=1 api.example.com 203.0.113.53")).exitCode).not.toBe(0);
        expect((await sh(guest, "grep -o '^ *[a-z0-9]*:' /proc/net/dev")).out.trim()).toBe("lo:");
        expect(asked).toEqual([]);
        gateway.kill();
      });
      await within(
        async ({ guest, egressDoor }) => {
          expect(egressDoor).toBeUndefined();
          expect((await sh(guest, `${proxied} wget -q -O - http://203.0.113.7/`)).err).toMatch(/refused/);
        },
        { network: "none" },
      );
    });

    it("cuts connections with the gateway, says that it is gone, and goes on with the next", async () => {
      await within(async ({ guest }, path) => {
        let opened = (): void => {};
        const open = new Promise<void>((resolve) => {
          opened = resolve;
        });
        const first = standInGateway(path, () => ({ answer: { ok: true }, carry: () => opened() }));
        const cut = talk(guest, "CONNECT api.example.com:443 HTTP/1.1\r\n\r\n");
        await open;
        first.kill();
        expect((await cut).out).toBe("HTTP/1.1 200 Connection established\r\n\r\n");
        const without = await sh(guest, `${proxied} wget -q -O - http://api.example.com/`);
        expect(without.err).toMatch(/502 Bad Gateway/);
        const second = standInGateway(path, web);
        const again = await sh(guest, `${proxied} wget -q -O - http://api.example.com/`);
        expect(again.out).toBe("api.example.com:80\n");
        second.kill();
      });
    });

    it("has a door for the gateway's user alone, which outlives the host program and goes with the sandbox", async () => {
      await within(async (runtime, path) => {
        const owner = target.user === 0 ? gatewayUser(host.dataRoot) : target.user;
        expect(await stat(path)).toMatchObject({ uid: owner, gid: owner, mode: 0o140600 });
        const doors = join(host.dataRoot, "egress");
        expect(await stat(doors)).toMatchObject({ uid: target.user, gid: owner, mode: 0o40710 });
        const probe = buildNative("wall-probe", join(host.dataRoot, "programs"));
        const connectAs = (user: number): string => {
          const as = [`--reuid=${user}`, `--regid=${user}`, "--clear-groups", "--"];
          return execFileSync("setpriv", [...as, probe, "connect", path], { encoding: "utf8" });
        };
        expect(connectAs(owner)).toBe("done\n");
        expect(connectAs(somebody + 1)).toBe("EACCES\n");
        await killServing(host.programPath);
        // Until its end is noticed it is asked in vain.
        const attach = () => provider.attach(runtime.sandboxId, runtime.ref, signal()).catch(() => undefined);
        const attached = await until(attach, (found) => found !== undefined);
        expect(attached?.egressDoor).toEqual({ path, guestMade: target.guestMade });
        const gateway = standInGateway(path, web);
        expect((await sh(runtime.guest, `${proxied} wget -q -O - http://203.0.113.7/`)).out).toBe("203.0.113.7:80\n");
        gateway.kill();
        await attached?.guest[Symbol.asyncDispose]();
        await runtime.destroy(signal());
        expect(existsSync(path)).toBe(false);
        expect(execFileSync("ls", [doors], { encoding: "utf8" })).toBe("");
      });
    });

    it("keeps the proxy's port from whoever reaches the sandbox's ports", async () => {
      await within(async ({ guest }) => {
        expect(await guest.ports.list(signal())).toEqual([]);
        await expect(guest.ports.dial(3128, signal())).rejects.toMatchObject({ reason: "port_refused" });
      });
    });
  });
}
