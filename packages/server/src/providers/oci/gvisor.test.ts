import { existsSync } from "node:fs";
import { lstat, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectGuest } from "../../guest/agent/connect-guest.ts";
import type { Guest } from "../../guest/guest.ts";
import type { ImageRoot } from "../../images/image-store.ts";
import { outputMaxBytes, sandboxId, sh, signal, text, until } from "../contract/suite.testing.ts";
import { buildNative, busyboxImage, makeTestHost } from "../host.testing.ts";
import { type HostHelper, hostHelper } from "../host-helper.ts";
import type { Provider, Runtime, SandboxSpec } from "../provider.ts";
import { sandboxSpec } from "../sandbox-spec.testing.ts";
import { ociProvider } from "./oci.ts";

const runtimePath = "/usr/bin/runsc";
const lacks = existsSync(runtimePath) && process.getuid?.() === 0 ? undefined : "no runsc, or not root";
const door = "/dev/.stacyvm-door";

/** What the shared suite can't ask of a kernel in user space, and what only such a sandbox can try. */
describe("the wall of gVisor", () => {
  let host: Awaited<ReturnType<typeof makeTestHost>>;
  let image: ImageRoot;
  let helper: HostHelper;
  let provider: Provider;
  let runtime: Runtime;

  const open = (): Provider => ociProvider({ serverId: "test", helper, connectGuest, runtimePath });
  const spec = (): SandboxSpec => sandboxSpec({ id: sandboxId(), image });
  /** Of another sandbox's directory, where the host program keeps the door. */
  const doorOf = (id: string): string => join(host.dataRoot, "run", id, "door");

  const test = (name: string, body: () => Promise<void>): void =>
    it(name, async (context) => {
      if (lacks !== undefined) context.skip(lacks);
      await body();
    });

  beforeAll(async () => {
    if (lacks !== undefined) return;
    host = await makeTestHost();
    image = await busyboxImage(join(host.dataRoot, "images/busybox"));
    helper = hostHelper({ ...host, runtimePath });
    provider = open();
    runtime = await provider.spawn(spec(), signal());
  }, 60_000);

  afterAll(async () => {
    for (const one of (await provider?.list(signal())) ?? []) await provider.reap(one.sandboxId, signal());
    await helper?.[Symbol.asyncDispose]();
    if (host) await rm(host.dataRoot, { recursive: true });
  }, 60_000);

  test("is named by the provider, whatever the runtime's file is called", async () => {
    expect(await provider.fingerprint(signal())).toMatchObject({ healthy: true, missing: [] });
    expect(provider.publicConfig).toMatchObject({ isolation: "gvisor", version: expect.stringMatching(/^runsc /) });
    expect(provider.capabilities).toMatchObject({
      isolation: "kernel",
      tags: ["spawn", "exec", "files", "gvisor"],
      limits: { pids: false, treeKill: "best-effort" },
    });
  });

  test("is a kernel of its own, and nothing of it is root on the host", async () => {
    const { out } = await sh(runtime.guest, "cat /proc/version; dmesg");
    // What gVisor says of itself, and nothing of its log: the syscall filter stands before it.
    expect(out).toBe("Linux version 4.4.0 #1 SMP Sun Jan 10 15:06:54 PST 2016\n");
    const own = `stacyvm-${runtime.sandboxId}`;
    const users: number[] = [];
    for (const pid of await readdir("/proc")) {
      if (!/^\d+$/.test(pid)) continue;
      if (!(await readFile(`/proc/${pid}/cgroup`, "utf8").catch(() => "")).includes(own)) continue;
      const status = await readFile(`/proc/${pid}/status`, "utf8");
      users.push(...(/^Uid:\s+(.*)$/m.exec(status)?.[1]?.split(/\s+/).map(Number) ?? []));
    }
    expect(users.length).toBeGreaterThanOrEqual(8);
    expect(users).not.toContain(0);
  });

  test("has just the capabilities of its profile", async () => {
    const { out } = await sh(runtime.guest, "grep -E '^Cap(Prm|Bnd)' /proc/self/status");
    expect(out).toBe("CapPrm:\t00000000000004fb\nCapBnd:\t00000000000004fb\n");
  });

  test("opens no device that was made inside", async () => {
    const made =
      "cd /tmp; mknod b b 7 0 && dd if=b of=/dev/null count=1; mknod m c 1 1 && dd if=m of=/dev/null count=1";
    const { err } = await sh(runtime.guest, made);
    expect(err.match(/can't open '[bm]'|No such device/g)?.length).toBeGreaterThanOrEqual(2);
  });

  test("connects to no socket of the host, wherever it lies", async () => {
    let connections = 0;
    const path = join(doorOf(runtime.sandboxId), "host");
    const listening = createServer(() => connections++).listen(path);
    await new Promise((resolve) => listening.once("listening", resolve));
    const probe = "/tmp/wall-probe";
    const built = buildNative("wall-probe", join(host.dataRoot, "programs"));
    await runtime.guest.writeFile(probe, await readFile(built), { mode: 0o755 }, signal());
    const connect = { argv: [probe, "connect", `${door}/host`], maxOutputBytes: outputMaxBytes };
    expect(text((await runtime.guest.run(connect, signal())).stdout)).toMatch(/^(ECONNREFUSED|ENOENT|EACCES|EPERM)\n$/);
    expect(connections).toBe(0);
    await new Promise((resolve) => listening.close(resolve));
  });

  test("fills nothing of the host beside its socket", async () => {
    const filling = `dd if=/dev/zero of=${door}/fill bs=4k count=256; i=0; while : > ${door}/$i; do i=$((i+1)); done`;
    expect((await sh(runtime.guest, filling)).err).toMatch(/No space left[\s\S]*No space left/);
    const files = await readdir(doorOf(runtime.sandboxId));
    expect(files.length).toBeLessThan(20);
    await sh(runtime.guest, `rm -f ${door}/fill ${door}/[0-9]*`);
  });

  test("is not reached through a link in its socket's place, nor when anything else is there", async () => {
    const victim = await provider.spawn(spec(), signal());
    let connections = 0;
    const elsewhere = join(host.dataRoot, "elsewhere");
    const listening = createServer((socket) => {
      connections++;
      socket.destroy();
    }).listen(elsewhere);
    await new Promise((resolve) => listening.once("listening", resolve));
    const place = doorOf(victim.sandboxId);
    const socket = join(place, "agent.sock");
    // This gVisor lets nothing inside touch a socket of the host; another may.
    await sh(victim.guest, `cd ${door}; rm -f agent.sock; mv agent.sock kept; ln -sf ${elsewhere} agent.sock`);
    expect((await lstat(socket)).isSocket()).toBe(true);
    await rename(socket, join(place, "kept"));
    const others: Readonly<Record<string, () => Promise<unknown>>> = {
      "a link": () => symlink(elsewhere, socket),
      "a file": () => writeFile(socket, ""),
      "a directory": () => mkdir(socket),
      nothing: async () => {},
    };
    for (const [what, put] of Object.entries(others)) {
      await put();
      // Another instance has no connection from before.
      const attached = await open().attach(victim.sandboxId, victim.ref, signal());
      await expect(attached?.guest.ready(signal()), what).rejects.toMatchObject({ reason: "guest_unreachable" });
      await expect(sh(attached?.guest as Guest, "true"), what).rejects.toMatchObject({ reason: "guest_unreachable" });
      await attached?.guest[Symbol.asyncDispose]();
      await rm(socket, { recursive: true, force: true });
    }
    expect(connections).toBe(0);
    await victim.destroy(signal());
    await new Promise((resolve) => listening.close(resolve));
  });

  test("ends whole, and alone, when it takes more memory than it has", async () => {
    const greedy = await provider.spawn({ ...spec(), memoryMb: 128 }, signal());
    await sh(greedy.guest, "head -c 400000000 /dev/zero | tail -n 1 >/dev/null").catch(() => {});
    const alive = async () =>
      (await provider.list(signal())).find(({ sandboxId }) => sandboxId === greedy.sandboxId)?.alive;
    expect(await until(alive, (value) => value === false)).toBe(false);
    expect((await sh(runtime.guest, "echo still here")).out).toBe("still here\n");
    await greedy.destroy(signal());
  });
});
