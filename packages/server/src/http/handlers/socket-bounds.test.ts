import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import type { UseCases } from "../../orchestrator/use-cases.ts";
import { stranger } from "../identity.ts";
import { execSocketHandler } from "./exec-socket.ts";
import { processSocketHandler } from "./process-socket.ts";

// The numbers are written out: a bound that somebody raises has to be raised here too.
let door: WebSocketServer;
beforeAll(async () => {
  door = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await new Promise((resolve) => door.once("listening", resolve));
});
afterAll(() => void door.close());

/** A client, and the server's end of it. */
const pair = async () => {
  const accepted = new Promise<WebSocket>((resolve) => door.once("connection", resolve));
  const client = new WebSocket(`ws://127.0.0.1:${(door.address() as AddressInfo).port}`);
  const closed = new Promise<number>((resolve) => client.once("close", resolve));
  const [socket] = await Promise.all([accepted, new Promise((resolve) => client.once("open", resolve))]);
  return { client, socket, closed };
};

const request = {
  params: { id: "sb-0000000000000000", process: "pr-0000000000000000" },
  query: {},
  identity: stranger,
  signal: new AbortController().signal,
};

/** Events of a process that says nothing until then. */
async function* until(end: Promise<void>): AsyncGenerator<never> {
  await end;
  yield* [];
}

const eventually = (condition: () => boolean) => expect.poll(condition, { interval: 5 }).toBe(true);

test("256 messages may wait for a command that hasn't started, and one more ends the conversation", async () => {
  for (const [messages, isCutOff] of [
    [256, false],
    [257, true],
  ] as const) {
    const { client, socket, closed } = await pair();
    let received = 0;
    socket.on("message", () => (received += 1));
    const ended = Promise.withResolvers<void>();
    // It never says that it has started, so nothing is taken.
    const useCases = { execStream: async () => ({ guest: {}, events: until(ended.promise) }) } as unknown as UseCases;
    const handler = execSocketHandler({ useCases });
    const served = handler(request as unknown as Parameters<typeof handler>[0], socket);
    client.send(JSON.stringify({ type: "start", command: "cat" }));
    for (let n = 0; n < messages; n++) client.send(JSON.stringify({ type: "stdin", data: "x" }));
    await eventually(() => received >= messages || socket.readyState !== socket.OPEN);
    if (isCutOff) expect(await closed).toBe(1008);
    else expect(socket.readyState).toBe(socket.OPEN);
    ended.resolve();
    await served;
    await closed;
  }
});

test("what a client sends along with its start reaches the command, in its order", async () => {
  const { client, socket, closed } = await pair();
  const written: string[] = [];
  const ended = Promise.withResolvers<void>();
  async function* events() {
    yield { type: "start", processId: "p", pid: 2 };
    await ended.promise;
  }
  const guest = { writeStdin: async (_: string, data: Buffer) => void written.push(data.toString()) };
  const useCases = { execStream: async () => ({ guest, events: events() }) } as unknown as UseCases;
  const handler = execSocketHandler({ useCases });
  const served = handler(request as unknown as Parameters<typeof handler>[0], socket);
  const words = Array.from({ length: 100 }, (_, at) => String(at));
  client.send(JSON.stringify({ type: "start", command: "cat" }));
  for (const data of words) client.send(JSON.stringify({ type: "stdin", data }));
  await eventually(() => written.at(-1) === "99");
  expect(written).toEqual(words);
  ended.resolve();
  await served;
  await closed;
});

test("a mebibyte of input may wait for a process, and with one byte more its client isn't read until some is taken", async () => {
  for (const [bytes, isPaused] of [
    [1024 * 1024 - 256, false],
    [1024 * 1024 - 256 + 1, true],
  ] as const) {
    const { client, socket, closed } = await pair();
    const taken = Promise.withResolvers<void>();
    let arrived = 0;
    const processes = {
      attach: async () => ({ events: until(taken.promise) }),
      sendInput: async (_: unknown, data: Uint8Array) => {
        arrived += data.length;
        await taken.promise;
      },
    };
    const handler = processSocketHandler({ useCases: { processes } as unknown as UseCases });
    const served = handler(request as unknown as Parameters<typeof handler>[0], socket);
    client.send(Buffer.alloc(bytes));
    await eventually(() => arrived === bytes);
    expect([bytes, socket.isPaused]).toEqual([bytes, isPaused]);
    taken.resolve();
    await served;
    await closed;
  }
});
