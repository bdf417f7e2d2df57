import { readdir, readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { outputMaxBytes, sandboxId, sh, signal, text, until } from "../contract/suite.testing.ts";
import type { Provider, Runtime, SandboxSpec } from "../provider.ts";
import { sandboxSpec } from "../sandbox-spec.testing.ts";
import { engineLacks } from "./docker-engine.testing.ts";
import { type DockerUnderTest, dockerUnderTest } from "./docker-provider.testing.ts";

const lacks = engineLacks("runsc");
const door = "/dev/.stacyvm-door";

/** What the shared suite can't ask of a kernel in user space under an engine. */
describe("the wall of gVisor under an engine", () => {
  let under: DockerUnderTest;
  let provider: Provider;
  let runtime: Runtime;

  const spec = (more: Partial<SandboxSpec> = {}): SandboxSpec =>
    sandboxSpec({ id: sandboxId(), security: "restricted", ...more });
  const test = (name: string, body: () => Promise<void>): void =>
    it(name, async (context) => {
      if (lacks !== undefined) context.skip(lacks);
      await body();
    });

  beforeAll(async () => {
    if (lacks !== undefined) return;
    under = await dockerUnderTest({ runtime: "runsc" });
    provider = under.open();
    runtime = await provider.spawn(spec(), signal());
  });

  afterAll(async () => {
    for (const one of (await provider?.list(signal())) ?? []) await provider.reap(one.sandboxId, signal());
    await under?.close();
  });

  test("is told by the program behind the runtime's name, and offers no root inside", async () => {
    expect(await provider.fingerprint(signal())).toMatchObject({ healthy: true, missing: [] });
    expect(provider.capabilities).toMatchObject({
      isolation: "kernel",
      tags: ["spawn", "exec", "files", "gvisor"],
      securityProfiles: ["restricted"],
      limits: { memory: true, pids: false, treeKill: "best-effort" },
    });
  });

  test("is a kernel of its own, which is nobody on the host", async () => {
    expect((await sh(runtime.guest, "cat /proc/version")).out).toMatch(/^Linux version 4\.4\.0 /);
    const users = new Map<string, number>();
    for (const pid of await readdir("/proc")) {
      if (!/^\d+$/.test(pid)) continue;
      const group = await readFile(`/proc/${pid}/cgroup`, "utf8").catch(() => "");
      if (!group.includes(String(runtime.ref.data.containerId))) continue;
      const argv = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
      const uid = /^Uid:\s+(\d+)/m.exec(await readFile(`/proc/${pid}/status`, "utf8").catch(() => ""))?.[1];
      users.set(argv.split("\0")[0] ?? "", Number(uid));
    }
    // The gofer opens files for it, in a root of its own and with few capabilities; nothing of the sandbox's runs there.
    expect([...users.keys()]).toEqual(expect.arrayContaining(["runsc-sandbox", "runsc-gofer"]));
    users.delete("runsc-gofer");
    expect([...new Set(users.values())]).toEqual([65534]);
  });

  test("fills nothing of the host beside its socket, and connects to no socket of the host", async () => {
    let connections = 0;
    const path = join(under.dataRoot, "doors", runtime.sandboxId, "host");
    const listening = createServer(() => connections++).listen(path);
    await new Promise((resolve) => listening.once("listening", resolve));
    expect(
      (await sh(runtime.guest, `echo x > ${door}/fill; mkdir ${door}/d`)).err.match(/Permission denied/g),
    ).toHaveLength(2);
    const probe = "/tmp/wall-probe";
    await runtime.guest.writeFile(probe, await readFile(under.probePath), { mode: 0o755 }, signal());
    const connect = { argv: [probe, "connect", `${door}/host`], maxOutputBytes: outputMaxBytes };
    expect(text((await runtime.guest.run(connect, signal())).stdout)).toMatch(/^(ECONNREFUSED|ENOENT|EACCES|EPERM)\n$/);
    expect(connections).toBe(0);
    await new Promise((resolve) => listening.close(resolve));
  });

  test("ends whole, and alone, when it takes more memory than it has", async () => {
    const greedy = await provider.spawn(spec({ memoryMb: 128 }), signal());
    await sh(greedy.guest, "head -c 400000000 /dev/zero | tail -n 1 >/dev/null").catch(() => {});
    const alive = async () =>
      (await provider.list(signal())).find(({ sandboxId: id }) => id === greedy.sandboxId)?.alive;
    expect(await until(alive, (value) => value === false)).toBe(false);
    expect((await sh(runtime.guest, "echo still here")).out).toBe("still here\n");
    await greedy.destroy(signal());
  });
});
