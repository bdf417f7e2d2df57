import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { defineOperation, json } from "@stacyvm/contract";
import type { FastifyInstance } from "fastify";
import { afterEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import { z } from "zod";
import { listen, type TestAppOptions, testApp } from "./app.testing.ts";

const row = { method: "GET", summary: "Test", permission: "sandbox:read", auditClass: "none", errors: [] } as const;
const operations = [
  defineOperation({
    ...row,
    id: "t.plain",
    path: "/api/v1/plain",
    stream: "none",
    lenient: true,
    answers: { 200: json(z.string()) },
  }),
  defineOperation({ ...row, id: "t.slow", path: "/api/v1/slow", stream: "none", answers: { 200: json(z.string()) } }),
  defineOperation({
    ...row,
    id: "t.events",
    path: "/api/v1/events",
    stream: "sse",
    answers: { 200: { "text/event-stream": "text" } },
  }),
  defineOperation({
    ...row,
    id: "t.raw",
    path: "/api/v1/raw",
    stream: "bytes",
    untrusted: true,
    answers: { 200: { "application/octet-stream": "bytes" } },
  }),
  defineOperation({
    ...row,
    method: "POST",
    id: "t.json",
    path: "/api/v1/json",
    stream: "none",
    lenient: true,
    body: z.object({ text: z.string().optional() }),
    bodyBytesMax: 1000,
    answers: { 200: json(z.int()) },
  }),
  defineOperation({
    ...row,
    method: "PUT",
    id: "t.upload",
    path: "/api/v1/upload",
    stream: "none",
    body: "bytes",
    answers: { 200: json(z.int()) },
  }),
  defineOperation({
    ...row,
    id: "t.socket",
    path: "/api/v1/socket",
    stream: "websocket",
    errors: ["upgrade_required"],
    answers: { 101: {} },
  }),
] as const;

interface Asked {
  readonly signal: AbortSignal;
  readonly body: AsyncIterable<Uint8Array> & { text?: string };
}

const aborted = (signal: AbortSignal) =>
  new Promise<unknown>((resolve) => {
    if (signal.aborted) resolve(signal.reason);
    signal.addEventListener("abort", () => resolve(signal.reason));
  });

/** Handlers that tell what happened to them. */
const makeHandlers = () => {
  const slow = Promise.withResolvers<void>();
  const slowAborted = Promise.withResolvers<unknown>();
  const eventsEnded = Promise.withResolvers<void>();
  const slowStarted = Promise.withResolvers<void>();
  const handlers = {
    "t.plain": async () => ({ status: 200, body: "plain" }),
    "t.slow": async ({ signal }: Asked) => {
      slowStarted.resolve();
      await Promise.race([slow.promise, aborted(signal).then((reason) => slowAborted.resolve(reason))]);
      return { status: 200, body: "slow" };
    },
    "t.events": async ({ signal }: Asked) => ({
      status: 200,
      contentType: "text/event-stream",
      stream: (async function* () {
        try {
          yield ": connected\n\n";
          await aborted(signal);
        } finally {
          eventsEnded.resolve();
        }
      })(),
    }),
    "t.raw": async () => ({
      status: 200,
      contentType: "application/octet-stream",
      stream: (async function* () {
        yield Buffer.from("<script>alert(1)</script>");
      })(),
      headers: { Trailer: "Exit-Code" },
      trailers: { "exit-code": () => "3" },
    }),
    "t.json": async ({ body }: Asked) => ({ status: 200, body: (body.text ?? "").length }),
    "t.upload": async ({ body }: Asked) => {
      let size = 0;
      for await (const chunk of body) size += chunk.length;
      return { status: 200, body: size };
    },
    "t.socket": async (_request: unknown, socket: WebSocket) => {
      socket.on("message", (data) => socket.send(`echo ${String(data)}`));
      await once(socket, "close");
    },
  };
  return { handlers, slow, slowAborted, slowStarted, eventsEnded };
};

const open: FastifyInstance[] = [];
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(open.splice(0).map((app) => app.close()));
});

const serve = async (options: Partial<TestAppOptions> = {}) => {
  const made = makeHandlers();
  const app = testApp({
    operations,
    handlers: made.handlers,
    drainTimes: { drainMs: 200, abortedMs: 200 },
    ...options,
  });
  open.push(app);
  const port = await listen(app);
  return { ...made, app, port, base: `http://127.0.0.1:${port}` };
};

/** Sends bytes as they are; resolves to all that comes back until the server closes. */
const raw = async (port: number, bytes: string): Promise<string> => {
  const socket = connect(port, "127.0.0.1");
  sockets.push(socket);
  socket.write(bytes);
  return text(socket);
};

test("the port in Host must be the listener's", async () => {
  const { port } = await serve();
  const head = (host: string) => `GET /api/v1/plain HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
  expect(await raw(port, head(`127.0.0.1:${port}`))).toMatch(/^HTTP\/1\.1 200/);
  expect(await raw(port, head("localhost"))).toMatch(/^HTTP\/1\.1 200/);
  expect(await raw(port, head(`127.0.0.1:${port - 1}`))).toMatch(/^HTTP\/1\.1 421/);
  expect(await raw(port, head(`rebound.example:${port}`))).toMatch(/^HTTP\/1\.1 421/);
});

test.each([
  [
    "two Hosts",
    "GET /api/v1/plain HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
    421,
  ],
  ["absolute form", "GET http://localhost/api/v1/plain HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 421],
  ["no Host", "GET /api/v1/plain HTTP/1.0\r\n\r\n", 421],
  [
    "too many headers",
    `GET /api/v1/plain HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${"a: b\r\n".repeat(101)}\r\n`,
    431,
  ],
  [
    "too large headers",
    `GET /api/v1/plain HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nx: ${"a".repeat(20_000)}\r\n\r\n`,
    431,
  ],
  [
    "length and chunks together",
    "POST /api/v1/json HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    400,
  ],
])("%s is refused", async (_what, bytes, status) => {
  const { port } = await serve();
  expect(await raw(port, bytes)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
});

test("a JSON body larger than the bound is 413, announced or chunked, and the connection closes", async () => {
  const { port } = await serve();
  const head = "POST /api/v1/json HTTP/1.1\r\nHost: localhost\r\n";
  const announced = await raw(port, `${head}Content-Length: 1001\r\n\r\n`);
  expect(announced).toMatch(/^HTTP\/1\.1 413 [\s\S]*"reason":"payload_too_large"/);
  const chunk = `${(1001).toString(16)}\r\n${"a".repeat(1001)}\r\n`;
  expect(await raw(port, `${head}Transfer-Encoding: chunked\r\n\r\n${chunk}`)).toMatch(/^HTTP\/1\.1 413 /);
});

test("a JSON body that doesn't arrive in time is 408, and the connection closes", async () => {
  const { port } = await serve({ bodyTimeoutMs: 50 });
  const answer = await raw(port, 'POST /api/v1/json HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\n{"te');
  expect(answer).toMatch(/^HTTP\/1\.1 408 [\s\S]*"reason":"request_timeout"/);
});

test("an upload of any Content-Type reaches its handler as a stream", async () => {
  const { base } = await serve();
  const body = new Uint8Array(5_000_000);
  const answer = await fetch(`${base}/api/v1/upload`, { method: "PUT", body, headers: { "content-type": "a/b; c" } });
  expect(await answer.json()).toBe(5_000_000);
});

test("what a sandbox wrote is an attachment in a sandboxed document, and trailers follow the bytes", async () => {
  const { port } = await serve();
  const request = httpRequest({ port, host: "127.0.0.1", path: "/api/v1/raw" });
  request.end();
  const [response] = await once(request, "response");
  expect(await text(response)).toBe("<script>alert(1)</script>");
  expect(response.headers).toMatchObject({
    "content-disposition": "attachment",
    "content-security-policy": expect.stringMatching(/^sandbox/),
    "content-type": "application/octet-stream",
    "x-content-type-options": "nosniff",
  });
  expect(response.trailers).toEqual({ "exit-code": "3" });
});

test("a client that goes away ends the stream and aborts the handler", async () => {
  const { port, eventsEnded, slowAborted, slowStarted } = await serve();
  const stream = httpRequest({ port, host: "127.0.0.1", path: "/api/v1/events" });
  stream.on("error", () => {}).end();
  await once(stream, "response");
  stream.destroy();
  await eventsEnded.promise;
  const slow = httpRequest({ port, host: "127.0.0.1", path: "/api/v1/slow" });
  slow.on("error", () => {}).end();
  await slowStarted.promise;
  slow.destroy();
  expect(await slowAborted.promise).toMatchObject({ message: "the client has gone away" });
});

test("a shutdown lets requests end, ends streams and WebSockets, and closes kept-alive connections", async () => {
  const { app, port, base, slow, slowStarted, eventsEnded } = await serve({
    drainTimes: { drainMs: 60_000, abortedMs: 60_000 },
  });
  const idle = connect(port, "127.0.0.1");
  idle.write("GET /api/v1/plain HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await once(idle, "data");
  const half = connect(port, "127.0.0.1");
  half.write("GET /api/v1/pl");
  const answer = fetch(`${base}/api/v1/slow`);
  const events = await fetch(`${base}/api/v1/events`);
  const webSocket = new WebSocket(`ws://127.0.0.1:${port}/api/v1/socket`);
  await once(webSocket, "open");
  await slowStarted.promise;
  const closed = app.close();
  expect((await once(webSocket, "close"))[0]).toBe(1001);
  await eventsEnded.promise;
  await events.text();
  half.write("ain HTTP/1.1\r\nHost: localhost\r\n\r\n");
  expect(String((await once(half, "data"))[0])).toMatch(/^HTTP\/1.1 503 .*shutting_down/s);
  await expect(once(connect(port, "127.0.0.1"), "connect")).rejects.toThrow("ECONNREFUSED");
  slow.resolve();
  expect(await (await answer).json()).toBe("slow");
  await closed;
});

test("a request that outlasts the drain is aborted with shutting_down", async () => {
  const { app, base, slowAborted, slowStarted } = await serve();
  const answer = fetch(`${base}/api/v1/slow`).catch(() => undefined);
  await slowStarted.promise;
  await app.close();
  expect(await slowAborted.promise).toMatchObject({ reason: "shutting_down" });
  await answer;
});

const refusal = async (url: string, headers: Record<string, string>): Promise<number | undefined> => {
  const socket = new WebSocket(url, { headers });
  const status = Promise.withResolvers<number | undefined>();
  socket.on("unexpected-response", (_request, response) => status.resolve(response.statusCode));
  socket.on("open", () => status.resolve(undefined));
  socket.on("error", () => {});
  const result = await status.promise;
  socket.terminate();
  return result;
};

test("a WebSocket passes the same front door, and a foreign Origin never, whatever CORS and keys say", async () => {
  const apiKey = "k".repeat(40);
  const key = { "x-api-key": apiKey };
  const { port } = await serve({ apiKey, corsAllowedOrigins: ["http://evil.example"] });
  const url = `ws://127.0.0.1:${port}/api/v1/socket`;
  expect(await refusal(url, key)).toBeUndefined();
  expect(await refusal(url, { ...key, origin: `http://127.0.0.1:${port}` })).toBeUndefined();
  expect(await refusal(url, {})).toBe(401);
  expect(await refusal(url, { ...key, origin: "http://evil.example" })).toBe(403);
  expect(await refusal(url, { ...key, origin: "null" })).toBe(403);
  expect(await refusal(url, { ...key, host: "evil.example" })).toBe(421);
  expect(await refusal(`ws://127.0.0.1:${port}/api/v1/none`, key)).toBe(404);
  expect(await refusal(`ws://127.0.0.1:${port}/api/v1/plain`, key)).toBe(200);
});

test("a WebSocket converses, and its route answers 426 to others", async () => {
  const { port, base } = await serve();
  const socket = new WebSocket(`ws://127.0.0.1:${port}/api/v1/socket`);
  await once(socket, "open");
  socket.send("hello");
  expect(String((await once(socket, "message"))[0])).toBe("echo hello");
  socket.close();
  await once(socket, "close");
  expect((await fetch(`${base}/api/v1/socket`)).status).toBe(426);
});
