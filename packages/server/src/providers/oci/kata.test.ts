import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { connectGuest } from "../../guest/agent/connect-guest.ts";
import { sandboxId, signal } from "../contract/suite.testing.ts";
import { busyboxImage, makeTestHost } from "../host.testing.ts";
import { hostHelper } from "../host-helper.ts";
import { sandboxSpec } from "../sandbox-spec.testing.ts";
import { ociProvider } from "./oci.ts";

it("a runtime that says it is Kata is named so, is unhealthy with the reason, and is never started", async () => {
  const host = await makeTestHost();
  // Kata needs a guest kernel and hardware virtualisation; what counts here is what it says of itself.
  const runtimePath = join(host.dataRoot, "programs/some-runtime");
  const started = join(host.dataRoot, "started");
  const script = `#!/bin/sh\n[ "$1" = --version ] || : > ${started}\necho 'kata-runtime  : 3.2.0'\n`;
  await writeFile(runtimePath, script, { mode: 0o755 });
  const helper = hostHelper({ ...host, runtimePath });
  try {
    const provider = ociProvider({ serverId: "test", helper, connectGuest, runtimePath });
    const { healthy, missing } = await provider.fingerprint(signal());
    expect(healthy).toBe(false);
    expect(missing[0]).toMatch(/Kata.*cannot be reached.*use runsc or runc: providers\.oci\.runtime/);
    expect(provider.publicConfig).toMatchObject({ isolation: "kata", version: "kata-runtime  : 3.2.0" });
    expect(provider.capabilities).toMatchObject({ isolation: "microvm", tags: ["spawn", "exec", "files", "kata"] });
    const image = await busyboxImage(join(host.dataRoot, "images/busybox"));
    const limits = { memoryMb: 128, vcpus: 1, diskMb: 64, pidsMax: 64 };
    const spec = sandboxSpec({ id: sandboxId(), image, ...limits });
    await expect(provider.spawn(spec, signal())).rejects.toMatchObject({
      reason: "provider_unavailable",
      message: expect.stringContaining("Kata"),
    });
    expect(await provider.list(signal())).toEqual([]);
  } finally {
    await helper[Symbol.asyncDispose]();
    await rm(host.dataRoot, { recursive: true });
  }
});
