import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { connectGuest } from "./connect-guest.ts";

/** An empty SETTINGS frame, and one that acknowledges. */
const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
const settled = Buffer.from([0, 0, 0, 4, 1, 0, 0, 0, 0]);
const goaway = Buffer.from([0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
const path = join(tmpdir(), `agent-${randomBytes(6).toString("hex")}.sock`);
let server: Server | undefined;
const sockets = new Set<Socket>();

const listen = async (attend: (socket: Socket) => void): Promise<void> => {
  server = createServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    attend(socket);
  });
  await new Promise<void>((resolve) => server?.listen(path, resolve));
};

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  await new Promise((resolve) => server?.close(resolve));
  await rm(path, { force: true });
});

const hostile: Readonly<Record<string, (socket: Socket) => void>> = {
  "a text, and the end": (socket) => socket.end("no agent at all"),
  "a text, and silence": (socket) => socket.write("no agent at all"),
  "nothing, and the end": (socket) => socket.end(),
  "nothing, and is gone": (socket) => socket.destroy(),
  "settings, then a text": (socket) => socket.write(Buffer.concat([settings, settled, Buffer.from("no agent at all")])),
  "settings, then the end": (socket) => socket.end(settings),
  "a goodbye": (socket) => socket.end(Buffer.concat([settings, settled, goaway])),
  "noise once it is asked": (socket) => socket.once("data", () => socket.end(randomBytes(4096))),
  "settings, then noise once it is asked": (socket) => {
    socket.write(settings);
    socket.once("data", () => socket.end(randomBytes(4096)));
  },
};

// What nobody hears of a session ends the whole server: vitest reports it as an error of its own.
test.each(Object.entries(hostile))(
  "an agent that says %s costs its caller an answer and nobody else anything",
  async (_, attend) => {
    await listen(attend);
    const guest = connectGuest({ dial: () => connect({ path }), label: "hostile" });
    for (let round = 0; round < 10; round++) {
      await expect(guest.ready(AbortSignal.timeout(200))).rejects.toMatchObject({
        reason: expect.stringMatching(/^guest_(unreachable|protocol)$/),
      });
      await expect(guest.stat("/", AbortSignal.timeout(200))).rejects.toMatchObject({
        reason: expect.stringMatching(/^guest_(unreachable|protocol)$/),
      });
    }
    const last = guest.ready(AbortSignal.timeout(200)).catch(() => {});
    await guest[Symbol.asyncDispose]();
    await last;
  },
);
