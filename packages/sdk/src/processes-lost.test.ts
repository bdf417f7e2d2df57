import type { ServerResponse } from "node:http";
import { expect, test } from "vitest";
import { collect, sendJson, serve, type TestServer } from "../test/server.ts";
import { Client, ConnectionError } from "./index.ts";
import type { RetryOptions } from "./retry.ts";

const info = { id: "pr-1", state: "running", pty: false };
const output = (offset: number) => ({ type: "output", stream: "stdout", offset, data: "YWI=" });
const live = (offset: number) => ({ type: "live", offset });
const exit = { type: "exit", exit: { exit_code: 0 } };

/** Says these events and loses the connection, or ends the answer where the exit is among them. */
const say = (response: ServerResponse, events: readonly object[]): void => {
  const text = events.map((event) => `${JSON.stringify(event)}\n`).join("");
  if (events.includes(exit)) response.end(text);
  else response.writeHead(200).write(text, () => response.destroy());
};

type Answer = (response: ServerResponse) => void;

/** The nth connection to the output is answered by the nth; the last one answers all that follow. */
const answering = (...answers: readonly Answer[]): Promise<TestServer> => {
  let at = 0;
  return serve((request, response) => {
    if (!request.url.includes("/output")) return sendJson(response, info);
    answers[Math.min(at, answers.length - 1)]?.(response);
    at += 1;
  });
};

const waits: number[] = [];
const retry: RetryOptions = {
  attempts: 2,
  random: () => 0,
  sleep: async (ms) => {
    if (ms > 0) waits.push(ms);
  },
};

const attach = async (server: TestServer, how: { reconnectMs?: number; pastExit?: boolean } = {}, retries = retry) => {
  waits.length = 0;
  const sandbox = await new Client({ baseUrl: server.baseUrl, retry: retries }).get("sb-1");
  const process = await sandbox.processes.get("pr-1");
  return process.output({ offset: 0, ...how });
};

const offsets = (server: TestServer) =>
  server.received.flatMap(({ url }) => /output\?offset=(\d+)/.exec(url)?.[1] ?? []).map(Number);

test("a lost connection goes on from the next byte; live and the exit are told once, and what was missed is no replay", async () => {
  await using server = await answering(
    (response) => say(response, [output(0), live(2), output(2)]),
    (response) => say(response, [output(4), live(6)]),
    (response) => say(response, [{ type: "gap", offset: 6, until: 9 }, live(9)]),
    (response) => say(response, [output(9), live(11), exit]),
  );
  const events = await collect(await attach(server));
  expect(events.map((event) => ("replayed" in event ? `${event.offset} ${event.replayed}` : event.type))).toEqual([
    "0 true",
    "live",
    "2 false",
    "4 false",
    "gap",
    "9 false",
    "exit",
  ]);
  expect(offsets(server)).toEqual([0, 4, 6, 9]);
  expect(waits).toEqual([100, 100, 100]);
});

test("the exit is told once where the rest is followed over a lost connection", async () => {
  await using server = await answering(
    (response) => response.writeHead(200).write(`${JSON.stringify(exit)}\n`, () => response.destroy()),
    (response) => say(response, [exit, output(0)]),
  );
  const events = await collect(await attach(server, { pastExit: true }));
  expect(events.map(({ type }) => type)).toEqual(["exit", "output"]);
});

test("a server that starts is waited for, longer each time, and one that says no is believed", async () => {
  const starting = (response: ServerResponse) => void response.writeHead(503).end();
  await using server = await answering(
    (response) => say(response, [output(0)]),
    ...Array.from({ length: 14 }, () => starting),
    (response) => sendJson(response, { code: "NOT_FOUND", reason: "process_not_found", message: "gone" }, 404),
  );
  await expect(collect(await attach(server))).rejects.toMatchObject({ statusCode: 404, reason: "process_not_found" });
  expect(waits).toEqual([100, 200, 400, 800, 1600, 2000, 2000, 2000]);
});

test.each([
  ["the time for it is over", { reconnectMs: 0 }, retry],
  ["the client never retries", {}, { ...retry, attempts: 1 }],
])("a lost connection is told when %s", async (_, how, retries) => {
  await using server = await answering((response) => say(response, [output(0)]));
  const loop = collect(await attach(server, how, retries));
  await expect(loop).rejects.toBeInstanceOf(ConnectionError);
  expect([offsets(server), waits]).toEqual([[0], []]);
});

test("time over which a connection stood is not time without one", async () => {
  const reconnectMs = 100;
  await using server = await answering(
    (response) => say(response, [live(0)]),
    (response) => {
      response.writeHead(200).write(`${JSON.stringify(live(0))}\n`);
      setTimeout(() => response.destroy(), 2 * reconnectMs);
    },
    (response) => say(response, [exit]),
  );
  const events = await collect(await attach(server, { reconnectMs }));
  expect(events.map(({ type }) => type)).toEqual(["live", "exit"]);
});

test("a server that only ever says again what is known is given up", async () => {
  await using server = await answering((response) => say(response, [live(0)]));
  await expect(collect(await attach(server, { reconnectMs: 60 }))).rejects.toBeInstanceOf(ConnectionError);
});
