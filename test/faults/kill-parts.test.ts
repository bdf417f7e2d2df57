import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import {
  type HostSnapshot,
  hostSnapshot,
  leftBehind,
} from "../../packages/server/src/providers/host-snapshot.testing.ts";
import { sandboxesOf } from "./api.ts";
import { ownedBy } from "./owned.ts";
import { type FaultHost, makeFaultHost, type ServerProcess } from "./server-process.ts";

const soon = { timeout: 15_000, interval: 50 };

describe.runIf(process.getuid?.() === 0).each(["oci", "mock"])("kill -9 of a part, sandboxes by %s", (provider) => {
  let host: FaultHost;
  let server: ServerProcess;
  let sandboxes: ReturnType<typeof sandboxesOf>;
  let empty: HostSnapshot;
  const look = () => hostSnapshot({ dataRoot: join(host.dataDir, "oci") });
  const nothingLeft = () =>
    vi.waitFor(async () => expect(leftBehind(empty, await look())).toEqual([]), { timeout: 10_000, interval: 50 });
  const agentOf = async (id: string): Promise<number> => {
    const owned = (await ownedBy(host.dataDir)).find(({ sandbox_id }) => sandbox_id === id);
    if (owned === undefined) throw new Error(`the host has no ${id}`);
    return owned.pid;
  };
  const helpers = (): readonly number[] =>
    execFileSync("pgrep", ["--parent", String(server.pid), "stacyvm-host"], { encoding: "utf8" })
      .trim()
      .split("\n")
      .map(Number);

  beforeAll(async () => {
    host = await makeFaultHost({ "providers.default": provider, "reaper.interval": "1s" });
    server = await host.start();
    sandboxes = sandboxesOf(server.url);
    await sandboxes.destroy((await sandboxes.spawn(provider)).id);
    empty = await look();
  });

  afterAll(async () => {
    await host[Symbol.asyncDispose]();
  });

  it("an agent's death ends what it was serving with an error, is told as one, and the sandbox can be destroyed", async () => {
    const { id } = await sandboxes.spawn(provider);
    const served = expect(sandboxes.sh(id, "touch started; sleep 3600")).rejects.toThrow(/^503 .*guest_unreachable/);
    await vi.waitFor(async () => expect(await sandboxes.sh(id, "ls")).toBe("started\n"), soon);
    process.kill(await agentOf(id), "SIGKILL");
    await served;
    await vi.waitFor(async () => expect((await sandboxes.get(id)).state).toBe("error"), soon);
    await expect(sandboxes.sh(id, "true")).rejects.toThrow(/^409 .*its runtime ended by itself/);
    await sandboxes.destroy(id);
    await nothingLeft();
  });

  it("an agent that says nothing is given up after the command's deadline, and serves again when it wakes", async () => {
    const { id } = await sandboxes.spawn(provider);
    const agent = await agentOf(id);
    process.kill(agent, "SIGSTOP");
    try {
      const answer = await fetch(`${server.url}/api/v1/sandboxes/${id}/exec`, {
        method: "POST",
        body: JSON.stringify({ command: "true", timeout: "1s" }),
      });
      expect(answer.status).toBe(503);
      expect(await answer.json()).toMatchObject({ reason: "guest_unreachable" });
    } finally {
      process.kill(agent, "SIGCONT");
    }
    expect(await sandboxes.sh(id, "echo awake")).toBe("awake\n");
    await sandboxes.destroy(id);
    await nothingLeft();
  });

  it("a host helper's death costs no sandbox, and the next spawn has a new one", async () => {
    const { id } = await sandboxes.spawn(provider);
    const spawning = sandboxes.spawn(provider).then(
      (row) => row.id,
      (error: Error) => error,
    );
    await vi.waitFor(async () => expect(await sandboxes.list()).toHaveLength(2), { timeout: 10_000, interval: 1 });
    const [helper = 0] = helpers();
    process.kill(helper, "SIGKILL");
    const outcome = await spawning;
    // A spawn that was faster than the kill succeeds; then the next call may still meet the dying helper.
    if (typeof outcome === "string") await vi.waitFor(() => sandboxes.destroy(outcome), soon);
    else expect(outcome.message).toMatch(/^503 .*request_id/);
    expect(await sandboxes.sh(id, "echo kept")).toBe("kept\n");
    const next = await sandboxes.spawn(provider);
    expect(await sandboxes.sh(next.id, "echo new")).toBe("new\n");
    expect(helpers()).not.toContain(helper);
    for (const one of [id, next.id]) await sandboxes.destroy(one);
    await nothingLeft();
  });
});
