import { appendFile, copyFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sandboxId, sh, signal } from "../contract/suite.testing.ts";
import type { Provider, Runtime } from "../provider.ts";
import { sandboxSpec } from "../sandbox-spec.testing.ts";
import { engineLacks } from "./docker-engine.testing.ts";
import { type DockerUnderTest, dockerSettings, dockerUnderTest } from "./docker-provider.testing.ts";

const spec = (id = sandboxId()) =>
  sandboxSpec({ id, image: undefined, imageReference: "busybox", security: "restricted" });

describe.skipIf(engineLacks() !== undefined)("an engine that is reached over TLS", () => {
  let under: DockerUnderTest;
  beforeAll(async () => {
    under = await dockerUnderTest({ tcp: true });
  });
  afterAll(async () => {
    await under?.close();
  });

  const spawned = async (provider: Provider, use: (runtime: Runtime) => Promise<void>): Promise<void> => {
    const runtime = await provider.spawn(spec(), signal());
    try {
      await use(runtime);
    } finally {
      await runtime.destroy(signal());
    }
  };
  const volumes = async (): Promise<readonly string[]> =>
    ((await under.engine.client.listVolumes()).Volumes ?? []).map(({ Name: name }) => name);
  const answers = async ({ guest }: Runtime): Promise<void> =>
    expect((await sh(guest, "echo here")).out).toBe("here\n");

  test("takes the agent once, shows it read-only, and takes it again when somebody has pruned it", async () => {
    const provider = under.open();
    await spawned(provider, async (first) => {
      await spawned(provider, answers);
      expect(await volumes()).toHaveLength(1);
      const writing = "echo x >/dev/.stacyvm-agent/more; echo x >/dev/.stacyvm-agent/stacyvm-agent";
      expect((await sh(first.guest, writing)).exitCode).not.toBe(0);
      expect((await sh(first.guest, "ls /dev/.stacyvm-agent")).out).toBe("stacyvm-agent\n");
    });
    await under.engine.client.getVolume((await volumes())[0] ?? "").remove();
    await spawned(provider, answers);
    // A new instance finds what the one before has left, and no container of the filling is there.
    await spawned(under.open(), answers);
    expect(await volumes()).toHaveLength(1);
    expect(await under.engine.client.listContainers({ all: true })).toEqual([]);
  });

  test("gets a new version beside one in use, which goes once nothing uses it", async () => {
    const newer = join(under.dataRoot, "programs/newer");
    await copyFile(under.agentPath, newer);
    // Behind its end nothing of a program counts.
    await appendFile(newer, "newer");
    const newest = join(under.dataRoot, "programs/newest");
    await copyFile(newer, newest);
    await appendFile(newest, "newest");
    await spawned(under.open(), async (old) => {
      await spawned(under.open({ agentPath: newer }), answers);
      expect(await volumes()).toHaveLength(2);
      await answers(old);
    });
    await spawned(under.open({ agentPath: newest }), answers);
    expect(await volumes()).toHaveLength(1);
  });

  test("tells nobody inside by what a host is known to the agent", async () => {
    await spawned(under.open(), async ({ guest, ref }) => {
      const container = await under.engine.client.getContainer(String(ref.data.containerId)).inspect();
      const key = container.Config.Labels["stacyvm.stream"] ?? "";
      expect(key).toMatch(/^[0-9a-f]{32}$/);
      const seen = await sh(guest, "cat /proc/1/cmdline /proc/1/environ /proc/self/environ 2>/dev/null; env; hostname");
      expect(seen.out).toContain("--stdio");
      expect(seen.out).not.toContain(key);
    });
  });

  test("asks for our certificate, and is unhealthy without one", async () => {
    const open = (more: object) => under.open({ settings: { ...dockerSettings(under.engine.tcp), ...more } });
    expect((await open({ tlsDir: under.engine.tlsDir }).fingerprint(signal())).missing).toEqual([]);
    expect((await open({}).fingerprint(signal())).healthy).toBe(false);
    expect((await open({ tlsDir: "/nonexistent" }).fingerprint(signal())).missing.join()).toContain(
      "ca.pem can't be read",
    );
  });

  test("reaches agents by a socket where the operator says that the engine is on this machine", async () => {
    const settings = {
      ...dockerSettings(under.engine.tcp),
      tlsDir: under.engine.tlsDir,
      agentTransport: "socket",
    } as const;
    await spawned(under.open({ settings }), answers);
  });
});
