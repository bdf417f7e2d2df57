import { readFile } from "node:fs/promises";
import { buffer } from "node:stream/consumers";
import { expect } from "vitest";
import { bytes, type ProviderSuite, sh, signal } from "./suite.testing.ts";

/** Paths that the sandbox made to mislead whoever follows them. */
export const hostilePathsContract = (suite: ProviderSuite): void => {
  suite.each("keeps every path inside: dots and symlinks end in the sandbox's own root", async ({ guest }) => {
    const hostSecret = await readFile("/etc/hostname", "utf8").catch(() => "");
    await sh(guest, "ln -sfn / /workspace/root; ln -sfn /proc/1/root/etc/hostname /workspace/agent");
    await guest.writeFile("/workspace/root/tmp/inside", bytes("in"), {}, signal());
    expect((await sh(guest, "cat /tmp/inside")).out).toBe("in");
    for (const path of ["/../../../../etc/hostname", "/workspace/agent", "/workspace/root/etc/hostname"]) {
      const content = await guest.readFile(path, {}, signal()).then(
        async (read) => (await buffer(read.body)).toString(),
        () => "",
      );
      if (hostSecret !== "") expect(content).not.toBe(hostSecret);
    }
  });

  suite.each("refuses FIFOs, devices and endless files without hanging", async ({ guest }) => {
    await sh(guest, "mkfifo /workspace/fifo");
    for (const path of ["/workspace/fifo", "/dev/zero", "/proc/self/mem", "/workspace"]) {
      await expect(guest.readFile(path, {}, AbortSignal.timeout(3000)), path).rejects.toMatchObject({
        reason: expect.stringMatching(/^(not_a_file|file_permission_denied)$/),
      });
    }
  });
};
