import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import fc from "fast-check";
import { StacyVMError } from "stacyvm";
import { expect, test, vi } from "vitest";
import type { WebSocket } from "ws";
import { type AttachmentOptions, attachTo } from "./attachment.ts";
import { exit, output, peer, tell } from "./peer.testing.ts";
import type { SocketEvent } from "./process-socket.ts";

const address = { sandboxId: "sb-1", processId: "pr-1" };
const attach = (url: string, options: Partial<AttachmentOptions> = {}) =>
  attachTo({ url, apiKey: undefined }, address, { offset: 0, ...options });

const collect = async (events: AsyncIterable<SocketEvent>): Promise<SocketEvent[]> => {
  const all: SocketEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
};

const failure = async (events: AsyncIterable<SocketEvent>): Promise<StacyVMError> => {
  const error = await collect(events).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(StacyVMError);
  return error as StacyVMError;
};

/** Ways in which a connection comes to its end before the process does. */
const losses: Readonly<Record<string, (socket: WebSocket) => void>> = {
  cut: (socket) => socket.terminate(),
  "shut down": (socket) => socket.close(1001),
  failed: (socket) => {
    tell(socket, { type: "error", reason: "guest_unreachable", error: "the agent is away" });
    socket.close(1011);
  },
};

test("over any losses the bytes are the process's own, none missing and none twice", async () => {
  const part = fc.record({
    frames: fc.array(fc.uint8Array({ minLength: 1, maxLength: 20 }), { maxLength: 4 }),
    loss: fc.constantFrom(...Object.keys(losses)),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(part, { maxLength: 4 }), fc.uint8Array(), async (parts, rest) => {
      const all = Buffer.concat([...parts.flatMap(({ frames }) => frames), rest]);
      await using server = await peer(
        ...parts.map(({ frames, loss }) => (socket: WebSocket, offset: number) => {
          let at = offset;
          for (const frame of frames) {
            output(socket, at, frame);
            at += frame.length;
          }
          // What has been sent arrives before the loss.
          socket.ping();
          socket.once("pong", () => losses[loss]?.(socket));
        }),
        (socket, offset) => {
          output(socket, offset, all.subarray(offset));
          tell(socket, exit);
        },
      );
      const events = await collect(attach(server.url).events);
      expect(Buffer.concat(events.map((event) => (event.type === "output" ? event.data : Buffer.of())))).toEqual(all);
      expect(events.at(-1)).toEqual(exit);
    }),
    { numRuns: 25 },
  );
});

test("a connection goes on behind a gap and behind the end of a replay", async () => {
  await using server = await peer(
    (socket) => {
      output(socket, 5, Buffer.from("ab"), true);
      tell(socket, { type: "gap", offset: 7, until: 20 });
      socket.close(1001);
    },
    (socket) => {
      tell(socket, { type: "live", offset: 22 });
      socket.close(1001);
    },
    (socket) => tell(socket, exit),
  );
  const events = await collect(attach(server.url, { offset: 5 }).events);
  expect(server.asked).toEqual([5, 20, 22]);
  expect(events.map((event) => (event.type === "output" ? `output ${event.replayed}` : event.type))).toEqual([
    "open",
    "output true",
    "gap",
    "open",
    "live",
    "open",
    "exit",
  ]);
});

test("what was typed is sent once or not at all, and whoever typed it knows", async () => {
  const lost = Promise.withResolvers<void>();
  await using server = await peer(
    (socket) => {
      tell(socket, { type: "live", offset: 0 });
      socket.once("message", () => {
        socket.terminate();
        lost.resolve();
      });
    },
    (socket) => {
      tell(socket, { type: "live", offset: 0 });
      socket.on("message", () => tell(socket, exit));
    },
  );
  const attachment = attach(server.url);
  const sent: boolean[] = [attachment.write(Buffer.from("too early"))];
  let lives = 0;
  for await (const event of attachment.events) {
    if (event.type !== "live") continue;
    lives += 1;
    sent.push(attachment.write(Buffer.from(`after live ${lives}`)));
    if (lives > 1) continue;
    await lost.promise;
    await vi.waitFor(() => expect(attachment.write(Buffer.from("while it is away"))).toBe(false));
  }
  expect(sent).toEqual([false, true, true]);
  expect(server.received.filter((text) => text.startsWith("after"))).toEqual(["after live 1", "after live 2"]);
});

test("a server that stays away is given up, with the way back", async () => {
  await using server = await peer((socket) => {
    output(socket, 0, Buffer.from("x"));
    socket.once("pong", () => server.stop());
    socket.ping();
  });
  const error = await failure(attach(server.url, { reconnectMs: 200 }).events);
  expect(error).toMatchObject({
    message: expect.stringMatching(/^the connection was lost and could not be made again in 0\.2s: .*ECONNREFUSED/),
    remediation: expect.stringContaining("stacyvm attach sb-1 pr-1"),
  });
});

test("a server of which each connection brings nothing new is given up", async () => {
  await using server = await peer((socket) => {
    tell(socket, { type: "live", offset: 0 });
    socket.close(1001);
  });
  const error = await failure(attach(server.url, { reconnectMs: 200 }).events);
  expect(error.message).toContain("could not be made again in 0.2s");
  expect(server.asked.length).toBeLessThan(6);
});

test("a server of which each connection brings something new is come back to for as long as it takes", async () => {
  await using server = await peer((socket, offset) => {
    output(socket, offset, Buffer.from("x"));
    if (offset === 10) tell(socket, exit);
    else socket.close(1001);
  });
  expect((await collect(attach(server.url, { reconnectMs: 200 }).events)).at(-1)).toEqual(exit);
});

test("an absence of a second is told, and its end; a short one isn't", async () => {
  const told: string[] = [];
  const say = (socket: WebSocket, offset: number) => {
    output(socket, offset, Buffer.from("x"));
    socket.close(1001);
  };
  // Open, but nothing comes of it.
  const sayLate = (socket: WebSocket, offset: number) =>
    void vi.waitFor(() => expect(told).toContain("away"), { timeout: 5_000 }).then(() => say(socket, offset));
  await using server = await peer(say, say, sayLate, (socket) => tell(socket, exit));
  const options = { onAway: () => told.push("away"), onBack: () => told.push("back") };
  for await (const event of attach(server.url, options).events) told.push(event.type);
  expect(told).toEqual(["open", "output", "open", "output", "open", "away", "back", "output", "open", "exit"]);
});

test("a connection on which nothing comes, not even an answer to a ping, is lost", async () => {
  await using server = await peer(
    (socket) => {
      tell(socket, { type: "live", offset: 0 });
      socket.pause();
    },
    (socket) => tell(socket, exit),
  );
  await collect(attach(server.url, { watch: { probeMs: 20, silenceMs: 100 } }).events);
  expect(server.asked).toEqual([0, 0]);
});

test("a process that says nothing for long keeps its connection", async () => {
  await using server = await peer((socket) => {
    let pings = 0;
    socket.on("ping", () => {
      pings += 1;
      if (pings === 10) tell(socket, exit);
    });
  });
  await collect(attach(server.url, { watch: { probeMs: 20, silenceMs: 100 } }).events);
  expect(server.asked).toEqual([0]);
});

test("what another connection can't mend is told at once", async () => {
  await using server = await peer((socket) => {
    tell(socket, { type: "error", reason: "process_not_found", error: "process pr-1 does not exist" });
    socket.close(1011);
  });
  expect(await failure(attach(server.url).events)).toMatchObject({ reason: "process_not_found" });
  const refusing = createServer();
  refusing.on("upgrade", (_request, socket) => {
    const body = JSON.stringify({ code: "UNAUTHORIZED", message: "no key", reason: "unauthenticated" });
    socket.end(`HTTP/1.1 401 Unauthorized\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`);
  });
  await new Promise<void>((resolve) => refusing.listen(0, "127.0.0.1", resolve));
  const { port } = refusing.address() as AddressInfo;
  const error = await failure(attach(`http://127.0.0.1:${port}`).events);
  expect(error).toMatchObject({ statusCode: 401, reason: "unauthenticated", message: "no key" });
  refusing.close();
});
