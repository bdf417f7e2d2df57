import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { spawnSandbox, type TestSandbox } from "./api.ts";
import { launcher, runProgram } from "./cli-process.ts";
import { startProcess } from "./process-api.ts";
import { startServer, type TestServer } from "./server.ts";
import { openTerminal } from "./terminal.ts";

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

test("a shell is used, resized, left and come back to with what was missed", async () => {
  using terminal = openTerminal(() => server.url);
  const { line } = terminal;
  await terminal.prompt();
  terminal.stacyvm("shell", sandbox.id);
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
  await terminal.prompt();
  await sandbox.exec({ command: "touch /tmp/go" });
  const id = /attach sb-[0-9a-f]+ (pr-[0-9a-f]{16})/.exec(terminal.screen().replaceAll("\n", ""))?.[1] ?? "";
  terminal.stacyvm("attach", sandbox.id, id);
  await terminal.until("# missed it");
  expect(terminal.screen()).toContain("status 130");
  line("exit 7");
  await terminal.prompt();
  line("echo code $?");
  await terminal.until("code 7");
});

test("ps lists, and attach without a terminal is the output and the exit", async () => {
  const one = await startProcess(sandbox, { command: "echo out; echo err >&2; exit 5", tag: "mine" });
  await one.wait();
  const run = (...args: readonly string[]) => runProgram(launcher, ["--server", server.url, ...args]);
  const listed = (await run("ps", sandbox.id)).stdout.split("\n");
  expect(listed[0]).toMatch(/^PROCESS +STATE +EXIT +LIVING +TAG +COMMAND$/);
  expect(listed.find((row) => row.startsWith(one.id))).toMatch(/ exited +5 +0 +mine +sh -c echo out;/);
  expect(await run("attach", sandbox.id, one.id)).toMatchObject({ status: 5, stdout: "out\n", stderr: "err\n" });
  expect(await run("attach", sandbox.id, "pr-0000000000000000")).toMatchObject({ status: 1, stdout: "" });
  expect(await run("shell", sandbox.id)).toMatchObject({ status: 1, stderr: expect.stringContaining("terminal") });
});
