import http, { type IncomingMessage, type ServerResponse } from "node:http";
import net, { type AddressInfo, type Server } from "node:net";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { proxyToPort } from "./port-proxy.ts";

/** An app that takes every connection and never says a word; it tells of what it gets. */
let app: Server;
let taken: net.Socket[] = [];
let front: http.Server;
let asked: (request: IncomingMessage, response: ServerResponse) => void = () => {};
const portOf = (server: { address(): unknown }) => (server.address() as AddressInfo).port;

beforeAll(async () => {
  app = net.createServer((socket) => taken.push(socket.on("error", () => {})));
  front = http.createServer((request, response) => asked(request, response));
  for (const server of [app, front]) await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterEach(() => {
  vi.useRealTimers();
  for (const socket of taken) socket.destroy();
  taken = [];
});
afterAll(() => {
  front.closeAllConnections();
  for (const server of [app, front]) server.close();
});

/** One request through the proxy to the app: how it failed, and its connection to the app. */
const proxied = async (signal: AbortSignal, when: (connection: net.Socket) => Promise<unknown>) => {
  const asking = new Promise<{ readonly request: IncomingMessage; readonly response: ServerResponse }>((resolve) => {
    asked = (request, response) => resolve({ request, response });
  });
  const client = http.get({ port: portOf(front), agent: false }).on("error", () => {});
  const { request, response } = await asking;
  const connection = net.connect(portOf(app), "127.0.0.1");
  await new Promise((resolve) => connection.once("connect", resolve));
  const carrier = { request, headers: {}, begin: () => response, takeSocket: () => undefined };
  const failure = proxyToPort(carrier, { port: 3000, prefix: "/", target: "/", connection, signal }).then(
    () => undefined,
    (error: unknown) => error,
  );
  await when(connection);
  const told = await failure;
  client.destroy();
  return { failure: told, connection };
};

test("an app that says nothing for two minutes is a 504, and not a moment before", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  let settled = false;
  const { failure, connection } = await proxied(AbortSignal.timeout(60_000), async (socket) => {
    socket.once("close", () => {
      settled = true;
    });
    await vi.advanceTimersByTimeAsync(119_999);
    expect(settled).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
  });
  expect(failure).toMatchObject({ reason: "port_timeout", entry: { status: 504 } });
  expect(connection.destroyed).toBe(true);
});

test("a client that left while its connection was made reaches no app and keeps no connection", async () => {
  const left = new Error("the client left");
  const { failure, connection } = await proxied(AbortSignal.abort(left), async (socket) => {
    if (!socket.closed) await new Promise((resolve) => socket.once("close", resolve));
  });
  expect(failure).toBe(left);
  expect(connection.bytesWritten).toBe(0);
});
