import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { createImageStore } from "../../packages/server/src/images/create-image-store.ts";
import { systemClock } from "../../packages/server/src/lib/clock.ts";
import { spawnSandbox, type TestSandbox } from "./api.ts";
import { startProcess } from "./process-api.ts";
import { startServer, type TestServer } from "./server.ts";
import { openTerminal, type TestTerminal } from "./terminal.ts";
import { terminalTar } from "./terminal-image.ts";

let server: TestServer;
let sandbox: TestSandbox;
beforeAll(async () => {
  server = await startServer();
  const { dataDir } = server;
  const images = await createImageStore({ storeDir: join(dataDir, "images"), aliases: {}, clock: systemClock });
  await images.importFrom("terminal:latest", terminalTar(dataDir), AbortSignal.timeout(60_000));
  sandbox = await spawnSandbox(server, { image: "terminal:latest" });
});
afterAll(async () => {
  await sandbox?.[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

interface Program {
  readonly command: string;
  /** Uses it; its last key is Enter, so that leaving is possible and changes nothing. */
  readonly use: (terminal: TestTerminal) => Promise<void>;
  readonly end: (terminal: TestTerminal) => void;
}

const programs: Readonly<Record<string, Program>> = {
  vim: {
    command:
      "printf 'int main(void)\\n{\\n\\treturn 7; /* ünï ✜ 宽 */\\n}\\n' > /tmp/a.c; exec vim -n -c 'syntax on' /tmp/a.c",
    use: async (terminal) => {
      await terminal.until("return 7");
      terminal.type("Goint other;");
      terminal.key("Escape");
      terminal.type(":vsplit");
      terminal.key("Enter");
      terminal.type(":set number hlsearch");
      terminal.key("Enter");
      terminal.type("/int");
      terminal.key("Enter");
      await terminal.until("1 int main");
    },
    end: (terminal) => {
      terminal.type(":qa!");
      terminal.key("Enter");
    },
  },
  top: {
    // It draws when it is told to, and not by itself.
    command: "exec top -d 3600",
    use: async (terminal) => {
      await terminal.until(" PID ");
      terminal.key("z");
      terminal.key("x");
      terminal.key("Enter");
      await terminal.until(" PID ");
    },
    end: (terminal) => terminal.type("q"),
  },
  python: {
    command: "exec python3 -q",
    use: async (terminal) => {
      await terminal.prompt(">>>");
      terminal.line("for i in range(60): print('\\x1b[3%dm' % (i % 8), i, '\\x1b[0mü', 'x' * i)");
      terminal.key("Enter");
      await terminal.until(" 59 ");
      terminal.line("input('name? ')");
      await terminal.until("name?");
      terminal.line("me");
      await terminal.until("'me'");
    },
    end: (terminal) => terminal.line("exit(0)"),
  },
};

const sizes = [
  [80, 24],
  [132, 43],
  [40, 12],
] as const;

test.each(sizes.flatMap(([cols, rows]) => Object.keys(programs).map((name) => [name, cols, rows] as const)))(
  "the screen of %s at %d by %d is the same, cell by cell, after leaving and coming back",
  async (name, cols, rows) => {
    const { command, use, end } = programs[name] as Program;
    using terminal = openTerminal(() => server.url, { cols, rows });
    await terminal.prompt();
    const env = { TERM: "screen-256color", LANG: "C.UTF-8" };
    const { id, wait } = await startProcess(sandbox, { command, pty: { cols, rows }, env });
    terminal.stacyvm("attach", sandbox.id, id);
    await use(terminal);
    const before = await terminal.settled();
    terminal.type("~.");
    await terminal.until("left it running");
    await terminal.prompt();
    expect(terminal.cells()).toMatch(/cursor_flag=1 alternate_on=0 keypad_cursor_flag=0/);
    terminal.stacyvm("attach", sandbox.id, id);
    await vi.waitFor(() => expect(terminal.cells()).toBe(before), { timeout: 15_000, interval: 25 });
    expect(await terminal.settled()).toBe(before);
    end(terminal);
    expect((await wait()).exit).toMatchObject({ exit_code: 0 });
    await terminal.prompt();
  },
);
