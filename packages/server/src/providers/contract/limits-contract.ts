import { randomBytes } from "node:crypto";
import { expect } from "vitest";
import { contentOf, expectAlive, marker, type ProviderSuite, sh, signal, until } from "./suite.testing.ts";

const mebibyte = 1024 * 1024;

/** Bounds of resources, and what a sandbox says of its use. */
export const limitsContract = (suite: ProviderSuite): void => {
  const limits = () => suite.provider().capabilities.limits;

  suite.test("kills the command that takes more memory than there is, and not its neighbours", async () => {
    if (!limits().memory) return;
    await suite.withSandbox({ memoryMb: 64 }, async ({ guest }) => {
      const neighbour = marker(5);
      await sh(guest, `sleep ${neighbour} &`);
      // tail keeps the one line that it gets.
      const balloon = await sh(guest, "head -c 200000000 /dev/zero | tail -n 1 >/dev/null", { timeoutMs: 15_000 });
      expect(balloon).toMatchObject({ exitCode: 137, timedOut: false });
      const alone = await sh(guest, "exec dd if=/dev/zero of=/dev/null bs=200M count=1", { timeoutMs: 15_000 });
      expect(alone).toMatchObject({ exitCode: 137, timedOut: false });
      await expectAlive(guest);
      expect((await sh(guest, "ps -o args")).out).toContain(`sleep ${neighbour}`);
    });
  });

  suite.test("stops a fork bomb at the limit of processes, and answers once it is over", async () => {
    if (!limits().pids) return;
    await suite.withSandbox({ pidsMax: 64 }, async ({ guest }) => {
      const bomb = sh(guest, "bomb() { bomb | bomb & }; bomb; sleep 2", { timeoutMs: 2000 });
      let most = 0;
      const look = async () => {
        most = Math.max(most, (await guest.usage(signal())).processes);
        return most;
      };
      // The agent's own threads count as well: it has to do with those that it has, however much is asked of it.
      const path = "/workspace/asked";
      const ask = async () =>
        await Promise.allSettled([
          guest.writeFile(path, Buffer.alloc(1_000_000), {}, signal()),
          guest.list("/", signal(), { depth: 2 }),
          sh(guest, "true"),
        ]);
      await until(
        async () => {
          await Promise.all(Array.from({ length: 3 }, ask));
          return await look();
        },
        (processes) => processes > 64,
        1500,
      );
      expect((await bomb).err).toMatch(/fork/);
      expect(most).toBeLessThanOrEqual(64);
      await expectAlive(guest);
    });
  });

  suite.test("gives no more processor than was asked for", async () => {
    if (!limits().cpu) return;
    await suite.withSandbox({ vcpus: 0.25 }, async (runtime) => {
      await runtime.usage(signal());
      await sh(runtime.guest, "while :; do :; done & while :; do :; done", { timeoutMs: 2000 });
      const usedPct = (await runtime.usage(signal()))?.cpuPct;
      expect(usedPct).toBeGreaterThan(1);
      // A tenth above: what one period of the scheduler may lend.
      expect(usedPct).toBeLessThan(25 * 1.1 + 5);
    });
  });

  suite.test("says that the disk is full, keeps the old content whole, and takes files again afterwards", async () => {
    if (!limits().disk) return;
    await suite.withSandbox({}, async ({ guest }) => {
      const old = randomBytes(mebibyte);
      await guest.writeFile("/workspace/kept", old, {}, signal());
      await expect(guest.writeFile("/workspace/kept", randomBytes(80 * mebibyte), {}, signal())).rejects.toMatchObject({
        reason: "disk_full",
      });
      const filled = await sh(guest, "dd if=/dev/zero of=/workspace/fill bs=1M count=128");
      expect(filled.err).toMatch(/No space left/);
      await expect(guest.writeFile("/workspace/more", old, {}, signal())).rejects.toMatchObject({
        reason: "disk_full",
      });
      const kept = await guest.readFile("/workspace/kept", {}, signal());
      expect(Buffer.compare(await contentOf(kept), old)).toBe(0);
      expect((await guest.list("/workspace", signal())).map((entry) => entry.path)).toEqual([
        "/workspace/fill",
        "/workspace/kept",
      ]);
      await guest.remove("/workspace/fill", { recursive: false }, signal());
      await guest.writeFile("/workspace/more", old, {}, signal());
      await expectAlive(guest);
    });
  });

  suite.test("survives a disk without a free inode", async () => {
    if (!limits().disk) return;
    await suite.withSandbox({}, async ({ guest }) => {
      const fill = "mkdir many; cd many; i=0; while : > $i; do i=$((i+1)); done";
      expect((await sh(guest, fill)).err).toMatch(/No space left/);
      await expect(guest.writeFile("/workspace/more", new Uint8Array(), {}, signal())).rejects.toMatchObject({
        reason: "disk_full",
      });
      await guest.remove("/workspace/many", { recursive: true }, signal());
      await guest.writeFile("/workspace/more", new Uint8Array(), {}, signal());
    });
  });

  suite.test("tells memory, processor, processes and disk in use", async () => {
    await suite.withSandbox({ memoryMb: 128 }, async (runtime) => {
      const first = await runtime.usage(signal());
      expect(first).toMatchObject({ cpuPct: 0 });
      await sh(runtime.guest, "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; dd if=/dev/zero of=f bs=1M count=8");
      const second = await runtime.usage(signal());
      const inside = await runtime.guest.usage(signal());
      if (limits().cpu) expect(second?.cpuPct).toBeGreaterThan(1);
      if (limits().memory) {
        expect(second?.memoryLimitBytes).toBe(128 * mebibyte);
        expect(second?.memoryBytes).toBeGreaterThan(mebibyte);
        expect(second?.memoryBytes).toBeLessThan(128 * mebibyte);
      }
      expect(inside.processes).toBeGreaterThanOrEqual(1);
      expect(inside.diskUsedBytes).toBeGreaterThanOrEqual(8 * mebibyte);
      if (limits().disk) expect(inside.diskTotalBytes).toBeLessThanOrEqual(64 * mebibyte);
    });
  });
};
