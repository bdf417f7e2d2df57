import { existsSync } from "node:fs";
import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectGuest } from "../../guest/agent/connect-guest.ts";
import type { ImageRoot } from "../../images/image-store.ts";
import { gatewayUser } from "../../lib/gateway-user.ts";
import { sandboxId, sh, signal } from "../contract/suite.testing.ts";
import { standInGateway, web, withDoor } from "../egress-gateway.testing.ts";
import { busyboxImage, killServing, makeTestHost } from "../host.testing.ts";
import { type HostHelper, hostHelper } from "../host-helper.ts";
import type { Provider, Runtime, SandboxSpec } from "../provider.ts";
import { sandboxSpec } from "../sandbox-spec.testing.ts";
import { ociProvider } from "./oci.ts";

for (const runtimePath of ["/usr/sbin/runc", "/usr/bin/crun"]) {
  describe.runIf(process.getuid?.() === 0 && existsSync(runtimePath))(
    `outbound network of oci under ${runtimePath}`,
    () => {
      let host: Awaited<ReturnType<typeof makeTestHost>>;
      let image: ImageRoot;
      let helper: HostHelper;
      let provider: Provider;
      let missing: string | undefined;
      let programEnded = (): void => {};

      const spec = (more: Partial<SandboxSpec> = {}): SandboxSpec =>
        sandboxSpec({ id: sandboxId(), image, network: "egress", ...more });
      const test = (name: string, body: () => Promise<void>): void =>
        it(name, async (context) => {
          if (missing !== undefined) context.skip(missing);
          await body();
        });
      const within = (body: (runtime: Runtime, path: string) => Promise<void>, more?: Partial<SandboxSpec>) =>
        withDoor(provider, spec(more), body);
      beforeAll(async () => {
        host = await makeTestHost();
        image = await busyboxImage(join(host.dataRoot, "images/busybox"));
        helper = hostHelper({ ...host, runtimePath, onExit: () => programEnded() });
        provider = ociProvider({ serverId: "test", helper, connectGuest, runtimePath });
        const found = await provider.fingerprint(signal());
        missing = found.missing[0];
        if (missing === undefined && !provider.capabilities.networks.includes("egress")) missing = "no TUN";
      }, 60_000);

      afterAll(async () => {
        for (const one of (await provider?.list(signal())) ?? []) await provider.reap(one.sandboxId, signal());
        await helper?.[Symbol.asyncDispose]();
        if (host) await rm(host.dataRoot, { recursive: true });
      }, 60_000);

      for (const security of ["default", "restricted"] as const) {
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
      }

      test("refuses what the gateway denies", async () => {
        await within(async ({ guest }, path) => {
          const gateway = standInGateway(path, () => ({ answer: { error: "denied" } }));
          expect((await sh(guest, "wget -q -O - http://169.254.169.254/")).err).toMatch(/Connection refused/);
          expect((await sh(guest, "nslookup api.example.com")).out).toMatch(/REFUSED/);
          gateway.kill();
        });
      });

      test("reaches nothing without a gateway, and nothing at all where the sandbox has no network", async () => {
        await within(async ({ guest }) => {
          expect((await sh(guest, "wget -q -O - http://203.0.113.7/")).err).toMatch(/Connection refused/);
        });
        await within(
          async ({ guest, egressDoor }) => {
            expect(egressDoor).toBeUndefined();
            expect((await sh(guest, "wget -q -O - http://203.0.113.7/")).err).toMatch(/unreachable/);
            expect((await sh(guest, "ls /sys/class/net")).out).toBe("lo\n");
          },
          { network: "none" },
        );
      });

      test("gives the sandbox the device and neither the right to change it nor what makes more", async () => {
        await within(async ({ guest }) => {
          const { out, err } = await sh(
            guest,
            "ip -4 -o addr show eth0; cat /sys/class/net/eth0/mtu; ip route; ip -6 addr show eth0; ls /dev/net; ip link set eth0 mtu 1500; ip route del default; grep ^CapBnd /proc/self/status; cat /etc/resolv.conf /etc/hosts",
          );
          expect(out).toBe(
            [
              "2: eth0    inet 198.18.0.1/32 scope global eth0\\       valid_lft forever preferred_lft forever",
              "65520",
              "default dev eth0 scope link ",
              "CapBnd:\t00000000000004fb",
              "nameserver 198.18.0.2",
              "127.0.0.1\tlocalhost",
              "::1\tlocalhost ip6-localhost ip6-loopback",
              "",
            ].join("\n"),
          );
          expect(err.match(/not permitted/g)).toHaveLength(2);
          expect(err).toMatch(/\/dev\/net: No such file/);
        });
      });

      test("has a door for the gateway's user alone, which outlives the host program and goes with the sandbox", async () => {
        await within(async (runtime, path) => {
          expect(path).toBe(join(host.dataRoot, "egress", `${runtime.sandboxId}.sock`));
          const owner = gatewayUser(host.dataRoot);
          expect(await stat(path)).toMatchObject({ uid: owner, gid: owner, mode: 0o140600 });
          expect(await stat(join(path, ".."))).toMatchObject({ uid: 0, gid: owner, mode: 0o40710 });
          const ended = new Promise<void>((resolve) => {
            programEnded = resolve;
          });
          await killServing(host.programPath);
          await ended;
          const attached = await provider.attach(runtime.sandboxId, runtime.ref, signal());
          expect(attached?.egressDoor).toEqual({ path, guestMade: false });
          const gateway = standInGateway(path, web);
          expect((await sh(runtime.guest, "wget -q -O - http://203.0.113.7/")).out).toBe("203.0.113.7:80\n");
          gateway.kill();
          await attached?.guest[Symbol.asyncDispose]();
          await runtime.destroy(signal());
          expect(existsSync(path)).toBe(false);
        });
      });
    },
  );
}
