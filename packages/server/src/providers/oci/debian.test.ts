import { rm } from "node:fs/promises";
import { StacyError } from "@stacyvm/contract";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectGuest } from "../../guest/agent/connect-guest.ts";
import type { Guest } from "../../guest/guest.ts";
import type { ImageRoot } from "../../images/image-store.ts";
import { sandboxId, sh, signal } from "../contract/suite.testing.ts";
import { makeTestHost } from "../host.testing.ts";
import { type HostHelper, hostHelper } from "../host-helper.ts";
import type { Provider, SecurityProfile } from "../provider.ts";
import { sandboxSpec } from "../sandbox-spec.testing.ts";
import { debianImage } from "./debian-root.testing.ts";
import { ociProvider } from "./oci.ts";

const buildTimeoutMs = 600_000;

describe.runIf(process.getuid?.() === 0)("a Debian root under oci", () => {
  let dataRoot: string;
  let helper: HostHelper;
  let provider: Provider;
  let image: ImageRoot;
  let missing: string | undefined;

  const within = async (security: SecurityProfile, body: (guest: Guest) => Promise<void>): Promise<void> => {
    const limits = { memoryMb: 512, vcpus: 1, diskMb: 256, pidsMax: 256 } as const;
    const spec = sandboxSpec({ id: sandboxId(), image, ...limits, security });
    const runtime = await provider.spawn(spec, signal());
    try {
      await body(runtime.guest);
    } finally {
      await runtime.destroy(signal());
    }
  };
  const done = async (guest: Guest, script: string): Promise<string> => {
    const { exitCode, out, err } = await sh(guest, `set -e; ${script}`);
    expect({ script, exitCode, err: exitCode === 0 ? "" : err }).toEqual({ script, exitCode: 0, err: "" });
    return out;
  };

  beforeAll(async () => {
    const built = await debianImage(AbortSignal.timeout(buildTimeoutMs)).catch((error: unknown) => {
      if (!(error instanceof StacyError) || error.reason !== "image_pull_failed") throw error;
      missing = error.message;
    });
    if (!built) return;
    image = built.image;
    const host = await makeTestHost();
    dataRoot = host.dataRoot;
    helper = hostHelper({ ...host, imagesRoot: built.imagesRoot });
    provider = ociProvider({ serverId: "test", helper, connectGuest, runtimePath: "/usr/sbin/runc" });
  }, buildTimeoutMs);

  afterAll(async () => {
    await helper?.[Symbol.asyncDispose]();
    if (dataRoot) await rm(dataRoot, { recursive: true });
  });

  it("has users, owners and packages under the default profile", async (context) => {
    if (missing) context.skip(missing);
    await within("default", async (guest) => {
      await done(guest, "groupadd builders; useradd --create-home --groups builders ada");
      expect(await done(guest, "su - ada -c 'id -un; id -Gn; pwd'")).toBe("ada\nada builders\n/home/ada\n");
      await done(guest, "touch given; chown ada:builders given");
      expect(await done(guest, "stat -c %U:%G given")).toBe("ada:builders\n");
      expect(await done(guest, "su ada -c 'touch /workspace/refused' 2>/dev/null || echo refused")).toBe("refused\n");
      const control =
        "Package: greeting\\nVersion: 1.0\\nArchitecture: all\\nMaintainer: a <a@b.c>\\nDescription: says hello\\n";
      await done(
        guest,
        `mkdir -p pkg/DEBIAN pkg/usr/bin pkg/var/lib/greeting; printf '${control}' > pkg/DEBIAN/control
         printf '#!/bin/sh\\nset -e\\nid greeter >/dev/null 2>&1 || useradd --system greeter\\nchown greeter: /var/lib/greeting\\n' > pkg/DEBIAN/postinst
         printf '#!/bin/sh\\necho hello\\n' > pkg/usr/bin/greeting; chmod 755 pkg/DEBIAN/postinst pkg/usr/bin/greeting
         dpkg-deb --root-owner-group --build pkg greeting.deb; dpkg -i greeting.deb`,
      );
      expect(await done(guest, "greeting; stat -c %U /var/lib/greeting")).toBe("hello\ngreeter\n");
      await done(guest, "dpkg --purge greeting; apt-get install -y -qq ./greeting.deb");
      expect(await done(guest, "dpkg-query -s greeting | grep Status")).toBe("Status: install ok installed\n");
    });
  });

  it("is user 1000 without capabilities, with a workspace of its own, under the restricted profile", async (context) => {
    if (missing) context.skip(missing);
    await within("restricted", async (guest) => {
      expect(
        await done(guest, "id -u; id -g; grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb):' /proc/self/status | cut -f2 | sort -u"),
      ).toBe("1000\n1000\n0000000000000000\n");
      expect(await done(guest, "cat /proc/1/comm; stat -c %u /proc/1/status")).toMatch(
        /^stacyvm-agent|\.stacyvm-agent/,
      );
      await done(guest, "touch /workspace/mine; test -O /workspace/mine; touch /tmp/mine");
      for (const refused of [
        "touch /etc/x",
        "chown 0 /workspace/mine",
        "su - -c id",
        "chmod 4755 /bin/su",
        "dpkg --purge dash",
      ]) {
        expect((await sh(guest, `${refused} </dev/null`)).exitCode, refused).not.toBe(0);
      }
      expect(await done(guest, "cp /usr/bin/id own-id; chmod 4755 own-id; ./own-id -u")).toBe("1000\n");
    });
  });
});
