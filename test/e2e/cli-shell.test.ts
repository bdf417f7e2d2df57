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

/** Asks the terminal for its cursor many times, then shows what is typed. */
const asking =
  "stty raw -echo; printf 'asked'; printf '\\033[6n%.0s' $(seq 300); while :; do dd bs=64 count=1 2>/dev/null | cat -v; done";

test("what a program asked before its terminal came back isn't answered by it, and keys then reach the program", async () => {
  using terminal = openTerminal(() => server.url);
  await terminal.prompt();
  const one = await startProcess(sandbox, { command: asking, pty: { cols: 80, rows: 24 } });
  await vi.waitFor(async () => expect((await one.bytes()).toString()).toBe(`asked${"\x1b[6n".repeat(300)}`));
  terminal.stacyvm("attach", sandbox.id, one.id);
  await terminal.until("asked");
  terminal.type("key");
  await terminal.until("key");
  expect(terminal.screen()).toBe("askedkey");
  await one.signal("SIGKILL");
  await terminal.prompt();
});

test("what a program asks while its terminal is there is answered", async () => {
  using terminal = openTerminal(() => server.url);
  await terminal.prompt();
  const one = await startProcess(sandbox, { command: `read go; ${asking}`, pty: { cols: 80, rows: 24 } });
  terminal.stacyvm("attach", sandbox.id, one.id);
  await vi.waitFor(
    () => {
      terminal.key("Enter");
      expect(terminal.screen()).toContain("^[[");
    },
    { timeout: 15_000 },
  );
  await one.signal("SIGKILL");
  await terminal.prompt();
});

test("what a new shell asks at its very start is answered: nobody else can have done it", async () => {
  using terminal = openTerminal(() => server.url);
  await terminal.prompt();
  const profile =
    "stty raw -echo; printf '\\033[6n'; answer=$(dd bs=1 count=6 2>/dev/null | cat -v); stty sane; echo got $answer";
  await sandbox.exec({ command: `cat > "$HOME/.profile"`, stdin: profile });
  terminal.stacyvm("shell", sandbox.id);
  await terminal.until("got ^[[");
  await terminal.prompt("/workspace #");
  await sandbox.exec({ command: `rm "$HOME/.profile"` });
  terminal.line("exit");
  await terminal.prompt();
});

test("after a gap the terminal is cleared and the program draws again", async () => {
  using terminal = openTerminal(() => server.url);
  await terminal.prompt();
  // Draws when its size changes, and once; then it writes more than can be replayed, without a trace on the screen.
  const command = [
    `draw() { printf '\\033[?1049h\\033[2J\\033[Hsize '; stty size | tee -a /tmp/sizes; printf 'drawn'; }`,
    "trap draw WINCH",
    "draw",
    "head -c 3000000 /dev/zero | tr '\\0' '\\7'",
    "touch /tmp/flooded",
    "while :; do sleep 0.1; done",
  ];
  const one = await startProcess(sandbox, { command: command.join("\n"), pty: { cols: 80, rows: 24 } });
  await vi.waitFor(
    async () => expect((await sandbox.exec({ command: "test -e /tmp/flooded" })).body.exit_code).toBe(0),
    { timeout: 20_000 },
  );
  // Insert mode stands for whatever mode a terminal may be in.
  terminal.line("printf '\\033[4h'");
  await vi.waitFor(() => expect(terminal.cells()).toContain("insert_flag=1"));
  terminal.stacyvm("attach", sandbox.id, one.id);
  await vi.waitFor(() => expect(terminal.screen()).toBe("size 24 80\ndrawn"), { timeout: 15_000, interval: 25 });
  expect(terminal.cells()).toMatch(/alternate_on=1 .*insert_flag=0/);
  // One that draws only what has changed needs to see another size.
  await vi.waitFor(async () => {
    const { stdout } = (await sandbox.exec({ command: "cat /tmp/sizes" })).body;
    expect(stdout).toBe("24 80\n23 80\n24 80\n");
  });
  await one.signal("SIGKILL");
  await terminal.prompt();
  expect(terminal.cells()).toContain("alternate_on=0");
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

test.each([80, 60])("in a terminal of %i columns each process has one line, whatever its names are", async (cols) => {
  await using apart = await spawnSandbox(server, {});
  const command = `: ${"a-long-argument ".repeat(10)}; sleep 78`;
  await startProcess(apart, { command, tag: "a-tag-that-is-longer-than-is-good-for-a-table" });
  await startProcess(apart, { command: "printf 'a\nb\tc'; sleep 78", tag: "宽字符" });
  using terminal = openTerminal(() => server.url, { cols, rows: 20 });
  await terminal.prompt();
  terminal.stacyvm("ps", apart.id);
  await terminal.until("PROCESS");
  await terminal.prompt();
  const lines = terminal.screen().split("\n").slice(0, -1);
  expect(lines.map((line) => line.slice(0, 3))).toEqual(["PRO", "pr-", "pr-"]);
  expect(lines.map((line) => line.includes("COMMAND") || line.includes(" sh -c "))).toEqual([true, true, true]);
});
