import { type AddressInfo, createServer } from "node:net";
import { expect, test, vi } from "vitest";
import { launcher, runProgram } from "../e2e/cli-process.ts";
import { startProcess } from "../e2e/process-api.ts";
import { openTerminal } from "../e2e/terminal.ts";
import { sandboxesOf } from "./api.ts";
import { makeFaultHost } from "./server-process.ts";

/** A port that nobody listens at now, for a server that comes back where it was. */
const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });

/** Cells without the blanks at the ends of lines, which an editor that draws again may leave out. */
const drawn = (cells: string): string => cells.replaceAll(/ +$/gm, "");

/** A mock sandbox on a server that comes back where it was. */
const makeHost = async () => {
  await using stack = new AsyncDisposableStack();
  const port = String(await freePort());
  const host = stack.use(await makeFaultHost({ "providers.default": "mock", "server.port": port }));
  let server = await host.start();
  const { id } = await sandboxesOf(server.url).spawn("mock");
  stack.defer(async () => {
    await sandboxesOf(server.url).destroy(id);
    server.signal("SIGTERM");
    await server.ended;
  });
  const running = stack.move();
  return {
    id,
    url: server.url,
    sandbox: { url: `${server.url}/api/v1/sandboxes/${id}` },
    kill: async () => {
      server.signal("SIGKILL");
      await server.ended;
    },
    restart: async () => {
      server = await host.start();
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
};

test.runIf(process.getuid?.() === 0)(
  "after kill -9 of the server attach goes on by itself, says so, and no byte is lost or comes twice",
  async () => {
    await using host = await makeHost();
    const command = 'i=0; while test $i -lt 300; do echo "line $i"; i=$((i + 1)); sleep 0.02; done; exit 6';
    const one = await startProcess(host.sandbox, { command });
    const seen = Promise.withResolvers<void>();
    const away = Promise.withResolvers<void>();
    const running = runProgram(launcher, ["--server", host.url, "attach", host.id, one.id], {
      onOutput: (text) => text.includes("line 20\n") && seen.resolve(),
      onError: (text) => text.includes("connection lost") && away.resolve(),
    });
    await seen.promise;
    await host.kill();
    await away.promise;
    await host.restart();
    const { status, stdout, stderr } = await running;
    expect(stdout).toBe(Array.from({ length: 300 }, (_, i) => `line ${i}\n`).join(""));
    expect(stderr).toBe("connection lost, trying again\nconnected again\n");
    expect(status).toBe(6);
  },
);

test.runIf(process.getuid?.() === 0)(
  "after kill -9 of the server the screen of an editor is what it was, and keys typed meanwhile are not in it",
  async () => {
    await using host = await makeHost();
    const size = { cols: 100, rows: 30 };
    using terminal = openTerminal(() => host.url, size);
    await terminal.prompt();
    const env = { TERM: "screen-256color", LANG: "C.UTF-8" };
    const command = "seq 100 > /tmp/numbers; exec vim -n -u DEFAULTS -i NONE -c 'set number' /tmp/numbers";
    const one = await startProcess(host.sandbox, { command, pty: size, env });
    terminal.stacyvm("attach", host.id, one.id);
    await terminal.until("29 29");
    terminal.type("GA, the end");
    terminal.key("Escape");
    await terminal.until("100 100, the end");
    const before = drawn(await terminal.settled());
    await host.kill();
    await terminal.until("stacyvm: connection lost");
    terminal.type("x0ilost");
    await host.restart();
    await vi.waitFor(() => expect(drawn(terminal.cells())).toBe(before), { timeout: 15_000, interval: 25 });
    terminal.type(":q!");
    terminal.key("Enter");
    expect((await one.wait()).exit).toMatchObject({ exit_code: 0 });
    await terminal.prompt();
  },
);

test.runIf(process.getuid?.() === 0)(
  "a shell is used on over a kill -9 of the server, and left while it is away",
  async () => {
    await using host = await makeHost();
    using terminal = openTerminal(() => host.url);
    await terminal.prompt();
    const one = await startProcess(host.sandbox, {
      command: "PS1='inside$ ' exec sh -i",
      pty: { cols: 80, rows: 24 },
    });
    terminal.stacyvm("attach", host.id, one.id);
    await terminal.prompt("inside$");
    terminal.line("n=6");
    await terminal.prompt("inside$ n=6\ninside$");
    await host.kill();
    await terminal.until("stacyvm: connection lost");
    terminal.line("n=7");
    await host.restart();
    await terminal.until("stacyvm: connected again");
    terminal.line("echo n is $n");
    await terminal.until("n is 6");
    await host.kill();
    terminal.key("Enter");
    terminal.type("~.");
    await terminal.until("left it running");
    await terminal.prompt();
    await host.restart();
    await one.signal("SIGKILL");
  },
);
