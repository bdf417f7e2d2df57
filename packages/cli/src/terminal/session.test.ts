import { PassThrough, Writable } from "node:stream";
import type { ReadStream, WriteStream } from "node:tty";
import { expect, test, vi } from "vitest";
import type { WebSocket } from "ws";
import { exit, output, peer, tell } from "./peer.testing.ts";
import { terminalSession } from "./session.ts";

/** The two ends of a terminal, without its modes. */
const openEnds = () => {
  const keyboard = new PassThrough();
  let shown = "";
  const screen = Object.assign(
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        shown += chunk.toString("latin1");
        done();
      },
    }),
    { columns: 80, rows: 24, isTTY: true },
  );
  const terminal = {
    input: keyboard as unknown as ReadStream,
    output: screen as unknown as WriteStream,
    notices: screen as unknown as WriteStream,
  };
  return { keyboard, terminal, shown: () => shown, resize: () => screen.emit("resize") };
};

const session = (url: string, ends: ReturnType<typeof openEnds>, options: { fresh?: boolean; offset?: number } = {}) =>
  terminalSession({ url, apiKey: undefined }, { sandboxId: "sb-1", processId: "pr-1" }, ends.terminal, {
    offset: 0,
    fresh: false,
    ...options,
  });

const live = (socket: WebSocket): void => tell(socket, { type: "live", offset: 1 });
const bells = (text: string): number => text.split("\x07").length - 1;

test("it is mute until the replay is over, with a bell for what is typed", async () => {
  const ends = openEnds();
  await using server = await peer((socket) => {
    output(socket, 0, Buffer.from("a"), true);
    socket.on("message", (data) => {
      if (String(data) === "loud") tell(socket, exit);
    });
    vi.waitFor(() => expect(bells(ends.shown())).toBe(1)).then(() => live(socket));
  });
  const ended = session(server.url, ends);
  await vi.waitFor(() => expect(ends.shown()).toBe("a"));
  ends.keyboard.write("mute");
  await vi.waitFor(() => expect(server.received).toContain('{"type":"resize","cols":80,"rows":24}'));
  ends.keyboard.write("loud");
  expect(await ended).toEqual({ left: false, status: 3 });
  expect(server.received.filter((text) => !text.startsWith("{"))).toEqual(["loud"]);
});

test("who has just started the process may type before anything has come", async () => {
  const ends = openEnds();
  await using server = await peer((socket) => {
    socket.on("message", () => tell(socket, exit));
  });
  ends.keyboard.write("ahead");
  await session(server.url, ends, { fresh: true });
  expect(server.received).toEqual(["ahead"]);
});

test("what is typed while the connection is away is dropped with a bell, and never sent", async () => {
  const ends = openEnds();
  let connections = 0;
  await using server = await peer(
    (socket) => {
      live(socket);
      socket.once("message", () => socket.terminate());
    },
    (socket) => {
      connections += 1;
      socket.on("message", (data) => {
        if (String(data) === "again") tell(socket, exit);
      });
      // Open, but nothing is known of it yet.
      vi.waitFor(() => expect(bells(ends.shown())).toBe(1)).then(() => live(socket));
    },
  );
  const ended = session(server.url, ends);
  await vi.waitFor(() => expect(connections).toBe(1));
  ends.keyboard.write("dropped");
  await vi.waitFor(() => expect(server.received.filter((text) => text.includes("resize")).length).toBe(2));
  ends.keyboard.write("again");
  await ended;
  expect(server.received.filter((text) => !text.startsWith("{"))).toEqual(["again"]);
});

test.each([
  ["", "\r\nstacyvm: connection lost", "\r\nstacyvm: connected again\r\n"],
  ["\x1b[?1049h", "\x1b7\x1b[24;1H\x1b[0;7mstacyvm: connection lost", ""],
])(
  "after %j an absence is told as %j, its end as %j, and then the program draws again",
  async (screen, lost, again) => {
    const ends = openEnds();
    await using server = await peer(
      (socket) => {
        output(socket, 0, Buffer.from(`${screen}x`));
        socket.close(1001);
      },
      (socket) => {
        socket.on("message", (data) => {
          if (String(data).includes('"rows":24')) tell(socket, exit);
        });
        vi.waitFor(() => expect(ends.shown()).toContain(lost), { timeout: 5_000 }).then(() => live(socket));
      },
    );
    await session(server.url, ends);
    if (again === "") expect(ends.shown()).not.toContain("connected");
    else expect(ends.shown()).toContain(again);
    expect(server.received.filter((text) => text.startsWith("{")).slice(-2)).toEqual([
      '{"type":"resize","cols":80,"rows":23}',
      '{"type":"resize","cols":80,"rows":24}',
    ]);
  },
);

test("leaving works without a connection, and gives the terminal back in its plain modes", async () => {
  const ends = openEnds();
  await using server = await peer(
    (socket) => {
      output(socket, 0, Buffer.from("\x1b[?1049h"));
      socket.close(1001);
    },
    () => ends.keyboard.write("~."),
  );
  expect(await session(server.url, ends)).toEqual({ left: true });
  expect(ends.shown()).toContain("\x1b[?1049l");
});

test("what was typed just before leaving is sent", async () => {
  const ends = openEnds();
  await using server = await peer((socket) => live(socket));
  const ended = session(server.url, ends);
  await vi.waitFor(() => expect(server.received.some((text) => text.includes("resize"))).toBe(true));
  // More than a connection holds, so that some of it still waits.
  const paste = "x".repeat(8 * 1024 * 1024);
  ends.keyboard.write(`${paste}\r~.`);
  expect(await ended).toEqual({ left: true });
  const typed = server.received.filter((text) => !text.startsWith("{")).join("");
  expect(typed.length).toBe(paste.length + 1);
});

test("input that the process refuses rings the bell", async () => {
  const ends = openEnds();
  await using server = await peer((socket) => {
    live(socket);
    tell(socket, { type: "error", reason: "process_state_conflict", error: "stdin is closed" });
    tell(socket, exit);
  });
  await session(server.url, ends);
  expect(bells(ends.shown())).toBe(1);
});
