import { execFileSync, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { spawnSandbox, type TestSandbox } from "./api.ts";
import { startProcess } from "./process-api.ts";
import { startServer, type TestServer } from "./server.ts";

const launcher = join(import.meta.dirname, "../../node_modules/.bin/stacyvm");
const hasTmux = spawnSync("tmux", ["-V"]).status === 0;

let server: TestServer;
let sandbox: TestSandbox;
beforeAll(async () => {
  server = await startServer();
  sandbox = await spawnSandbox(server, {});
});
afterAll(async () => {
  await sandbox[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

/** A real terminal of 80 by 24 whose screen can be read. */
const openTerminal = () => {
  const socket = `stacyvm-${randomBytes(6).toString("hex")}`;
  const tmux = (...args: readonly string[]): string =>
    execFileSync("tmux", ["-L", socket, "-f", "/dev/null", ...args], { encoding: "utf8", stdio: "pipe" });
  tmux("new-session", "-d", "-x", "80", "-y", "24", "env", "PS1=local$ ", "sh");
  const screen = () => tmux("capture-pane", "-p").trimEnd();
  return {
    type: (text: string) => void tmux("send-keys", "-l", text),
    key: (name: string) => void tmux("send-keys", name),
    resize: (cols: number, rows: number) => void tmux("resize-window", "-x", String(cols), "-y", String(rows)),
    screen,
    until: (words: string) => vi.waitFor(() => expect(screen()).toContain(words), { timeout: 15_000, interval: 25 }),
    /** The last line is this prompt. */
    prompt: (text: string) =>
      vi.waitFor(() => expect(screen().split("\n").at(-1)).toBe(text), { timeout: 15_000, interval: 25 }),
    [Symbol.dispose]: () => void spawnSync("tmux", ["-L", socket, "kill-server"]),
  };
};

test("a shell is used, resized, left and come back to with what was missed", async (context) => {
  if (!hasTmux) context.skip("tmux is not on this machine");
  using terminal = openTerminal();
  const line = (text: string) => {
    terminal.type(text);
    terminal.key("Enter");
  };
  await terminal.prompt("local$");
  line(`${launcher} --server ${server.url} shell ${sandbox.id}`);
  await terminal.prompt("/workspace #");
  line("echo $((6 * 7)); stty size");
  await terminal.until("42\n24 80");
  terminal.resize(100, 30);
  line('while test "$(stty size)" != "30 100"; do sleep 0.05; done; echo grown');
  await terminal.until("\ngrown");
  line("sleep 77");
  await vi.waitFor(async () =>
    expect((await sandbox.exec({ command: "ps | grep '[s]leep 77'" })).body.exit_code).toBe(0),
  );
  terminal.key("C-c");
  line("echo status $?");
  await terminal.until("status 130");
  line("(while ! test -e /tmp/go; do sleep 0.05; done; echo missed it) &");
  await terminal.until("missed it) &");
  terminal.key("Enter");
  terminal.type("~.");
  await terminal.until("left it running");
  await terminal.prompt("local$");
  await sandbox.exec({ command: "touch /tmp/go" });
  const id = /attach sb-[0-9a-f]+ (pr-[0-9a-f]{16})/.exec(terminal.screen().replaceAll("\n", ""))?.[1] ?? "";
  line("clear");
  await terminal.prompt("local$");
  line(`${launcher} --server ${server.url} attach ${sandbox.id} ${id}`);
  await terminal.until("# missed it");
  expect(terminal.screen()).toContain("status 130");
  line("exit 7");
  await terminal.prompt("local$");
  line("echo code $?");
  await terminal.until("code 7");
});

test("ps lists, and attach without a terminal is the output and the exit", async () => {
  const one = await startProcess(sandbox, { command: "echo out; echo err >&2; exit 5", tag: "mine" });
  await one.wait();
  const run = (...args: readonly string[]) =>
    new Promise<{ status: number | null; stdout: string; stderr: string }>((resolve) => {
      const child = spawn(launcher, ["--server", server.url, ...args], { stdio: ["ignore", "pipe", "pipe"] });
      const out = { stdout: "", stderr: "" };
      for (const name of ["stdout", "stderr"] as const)
        child[name].setEncoding("utf8").on("data", (text: string) => {
          out[name] += text;
        });
      child.on("close", (status) => resolve({ status, ...out }));
    });
  const listed = (await run("ps", sandbox.id)).stdout.split("\n");
  expect(listed[0]).toMatch(/^PROCESS +STATE +EXIT +LIVING +TAG +COMMAND$/);
  expect(listed.find((row) => row.startsWith(one.id))).toMatch(/ exited +5 +0 +mine +sh -c echo out;/);
  expect(await run("attach", sandbox.id, one.id)).toMatchObject({ status: 5, stdout: "out\n", stderr: "err\n" });
  expect(await run("attach", sandbox.id, "pr-0000000000000000")).toMatchObject({ status: 1, stdout: "" });
  expect(await run("shell", sandbox.id)).toMatchObject({ status: 1, stderr: expect.stringContaining("terminal") });
});
