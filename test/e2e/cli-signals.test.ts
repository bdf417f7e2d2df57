import { readdirSync, writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { spawnSandbox, type TestSandbox } from "./api.ts";
import { launcher, type RunOptions, runProgram, systemNode } from "./cli-process.ts";
import { startServer, type TestServer } from "./server.ts";

let server: TestServer;
let sandbox: TestSandbox;
beforeAll(async () => {
  server = await startServer();
  sandbox = await spawnSandbox(server, {});
});
afterAll(async () => {
  await sandbox?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

/** Waits for a condition; the test's own time limit ends a wait that never does. */
const until = async (condition: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await condition())) await sleep(20);
};

const isGroupAlive = (leader: number): boolean => {
  try {
    process.kill(-leader, 0);
    return true;
  } catch {
    return false;
  }
};

const isRunningInside = async (pid: string): Promise<boolean> =>
  (await sandbox.exec({ command: "kill", args: ["-0", pid], mode: "argv" })).body.exit_code === 0;

/** A terminal's Ctrl-C reaches every process of the group; `kill` reaches one. */
const senders = {
  "a terminal's Ctrl-C": (pid: number) => process.kill(-pid, "SIGINT"),
  "kill -INT of the launcher": (pid: number) => process.kill(pid, "SIGINT"),
} as const;
const nodes = { "the bundled Node": process.execPath, "an older Node": systemNode } as const;
const ways = Object.keys(nodes).flatMap((node) => Object.keys(senders).map((sender) => [sender, node] as const));

describe.each(ways)("%s under %s", (sender, node) => {
  const interrupt = senders[sender as keyof typeof senders];
  const stacyvm = (args: readonly string[], options: RunOptions) =>
    runProgram(nodes[node as keyof typeof nodes], [launcher, "--server", server.url, ...args], options);

  test("ends an exec with 130, and the command with it", async () => {
    const [leader, ready] = [Promise.withResolvers<number>(), Promise.withResolvers<void>()];
    const running = stacyvm(["exec", sandbox.id, "--", "sh", "-c", "echo $$; exec sleep 600"], {
      onStart: leader.resolve,
      onOutput: (stdout) => stdout.endsWith("\n") && ready.resolve(),
    });
    const pid = await leader.promise;
    await ready.promise;
    interrupt(pid);
    const ran = await running;
    expect(ran).toEqual({ status: 130, stdout: expect.stringMatching(/^\d+\n$/), stderr: "" });
    await until(async () => !(await isRunningInside(ran.stdout.trim())));
    await until(() => !isGroupAlive(pid));
  });

  test("ends a pull with 130, and leaves neither files nor processes", async () => {
    await using registry = await silentRegistry();
    const config = join(server.dataDir, `pull-${registry.port}.yaml`);
    const store = join(server.dataDir, `store-${registry.port}`);
    const settings = { store_dir: store, insecure_registries: [`127.0.0.1:${registry.port}`] };
    writeFileSync(config, JSON.stringify({ data_dir: server.dataDir, images: settings }));
    const leader = Promise.withResolvers<number>();
    const args = ["image", "pull", "--config", config, `127.0.0.1:${registry.port}/a:b`];
    const running = stacyvm(args, { onStart: leader.resolve });
    const pid = await leader.promise;
    await registry.asked;
    interrupt(pid);
    expect(await running).toEqual({ status: 130, stdout: "", stderr: "" });
    await until(() => !isGroupAlive(pid));
    expect([readdirSync(join(store, "tmp")), readdirSync(join(store, "refs"))]).toEqual([[], []]);
  });
});

/** Takes connections and never answers. */
const silentRegistry = async () => {
  const sockets: Socket[] = [];
  const asked = Promise.withResolvers<void>();
  const listener = createServer((socket) => {
    sockets.push(socket.on("error", () => {}).on("data", () => asked.resolve()));
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const address = listener.address();
  return {
    port: typeof address === "object" ? (address?.port ?? 0) : 0,
    asked: asked.promise,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
};

test.each([0, 3, 127, 137, 255])("exec ends as its command did: %i", async (status) => {
  const args = ["--server", server.url, "exec", sandbox.id, "--", "sh", "-c", `exit ${status}`];
  expect(await runProgram(launcher, args)).toEqual({ status, stdout: "", stderr: "" });
});

test("a reader that has seen enough ends an endless exec quietly", async () => {
  const script = 'set -o pipefail; "$@" 2>&1 | head -n 1; echo "status $?"';
  const command = ["--server", server.url, "exec", sandbox.id, "--", "sh", "-c", "echo $$; exec yes"];
  const ran = await runProgram("bash", ["-c", script, "bash", launcher, ...command]);
  expect(ran).toEqual({ status: 0, stdout: expect.stringMatching(/^\d+\nstatus 0\n$/), stderr: "" });
  await until(async () => !(await isRunningInside(ran.stdout.split("\n")[0] ?? "")));
});
