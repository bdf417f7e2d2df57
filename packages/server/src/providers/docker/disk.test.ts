import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { sandboxId, sh, signal } from "../contract/suite.testing.ts";
import type { Provider } from "../provider.ts";
import { sandboxSpec } from "../sandbox-spec.testing.ts";
import { engineLacks } from "./docker-engine.testing.ts";
import { type DockerUnderTest, dockerUnderTest } from "./docker-provider.testing.ts";

const lacks = existsSync("/usr/sbin/mkfs.btrfs") ? engineLacks() : "no mkfs.btrfs: apt-get install btrfs-progs";
const mebibyte = 1024 * 1024;

let under: DockerUnderTest;
let provider: Provider;

beforeAll(async () => {
  if (lacks !== undefined) return;
  under = await dockerUnderTest({ boundsDisk: true });
  provider = under.open();
});

afterAll(async () => {
  for (const one of (await provider?.list(signal())) ?? []) await provider.reap(one.sandboxId, signal());
  await under?.close();
});

it("bounds a sandbox's disk where the engine's storage driver can, and leaves its neighbour's alone", async (context) => {
  if (lacks !== undefined) context.skip(lacks);
  await provider.fingerprint(signal());
  expect(provider.capabilities.limits.disk).toBe(true);
  const spec = () => sandboxSpec({ id: sandboxId(), security: "restricted", diskMb: 64 });
  const [full, neighbour] = [await provider.spawn(spec(), signal()), await provider.spawn(spec(), signal())];
  const old = randomBytes(mebibyte);
  await full.guest.writeFile("/workspace/kept", old, {}, signal());
  const filled = await sh(full.guest, "dd if=/dev/zero of=/workspace/fill bs=1M count=256; wc -c </workspace/fill");
  expect(filled.err).toMatch(/No space left|quota exceeded/);
  expect(Number(filled.out)).toBeLessThanOrEqual(64 * mebibyte);
  const more = full.guest.writeFile("/workspace/more", randomBytes(8 * mebibyte), {}, signal());
  await expect(more).rejects.toMatchObject({ reason: "disk_full" });
  await neighbour.guest.writeFile("/workspace/more", randomBytes(8 * mebibyte), {}, signal());
  await full.guest.remove("/workspace/fill", { recursive: false }, signal());
  await full.guest.writeFile("/workspace/more", old, {}, signal());
});
