import { expect } from "vitest";
import { expectAlive, type ProviderSuite, sh, signal } from "./suite.testing.ts";

/** Bounds of resources, and what a sandbox says of its use. */
export const limitsContract = (suite: ProviderSuite): void => {
  suite.test("holds its bounds on memory, processes and disk, and answers afterwards", async () => {
    const { limits } = suite.provider().capabilities;
    const own = await suite.provider().spawn(suite.spec({ memoryMb: 64, pidsMax: 40 }), signal());
    if (limits.disk) {
      const filled = await sh(own.guest, "dd if=/dev/zero of=/workspace/fill bs=1M count=128; rm /workspace/fill");
      expect(filled.err).toMatch(/No space left/);
    }
    if (limits.memory) {
      // tail keeps the one line that it gets.
      const balloon = await sh(own.guest, "head -c 200000000 /dev/zero | tail -n 1 | wc -c", { timeoutMs: 15_000 });
      expect(balloon.out).not.toBe("200000000\n");
      const killed = await sh(own.guest, "exec dd if=/dev/zero of=/dev/null bs=200M count=1", { timeoutMs: 15_000 });
      expect(killed).toMatchObject({ exitCode: 137, timedOut: false });
    }
    if (limits.pids) {
      const bomb = "i=0; while [ $i -lt 100 ]; do sleep 2 & i=$((i+1)); done; exit 0";
      await sh(own.guest, bomb, { timeoutMs: 1500 });
      const usage = await own.guest.usage(signal());
      expect(usage.processes).toBeLessThanOrEqual(40);
    }
    await expectAlive(own.guest);
    await own.destroy(signal());
  });

  suite.test("tells memory and processor use", async () => {
    const [runtime] = suite.runtimes.values();
    const usage = await runtime?.usage(signal());
    expect(usage?.cpuPct).toBeGreaterThanOrEqual(0);
    if (suite.provider().capabilities.limits.memory) expect(usage?.memoryLimitBytes).toBe(256 * 1024 * 1024);
  });
};
