import { connect, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { defineOperation, json } from "@stacyvm/contract";
import type { FastifyInstance } from "fastify";
import { afterEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import { z } from "zod";
import { listen, testApp } from "./app.testing.ts";

// The numbers are written out: a bound that somebody raises has to be raised here too.
const row = { summary: "Test", permission: "sandbox:read", auditClass: "none", errors: [] } as const;
const operations = [
  defineOperation({
    ...row,
    method: "GET",
    id: "t.get",
    path: "/api/v1/things/{name}",
    stream: "none",
    lenient: true,
    params: z.strictObject({ name: z.string() }),
    answers: { 200: json(z.int()) },
  }),
  defineOperation({
    ...row,
    method: "POST",
    id: "t.post",
    path: "/api/v1/things",
    stream: "none",
    lenient: true,
    body: z.object({ text: z.string() }),
    answers: { 200: json(z.int()) },
  }),
  defineOperation({
    ...row,
    method: "GET",
    id: "t.socket",
    path: "/api/v1/socket",
    stream: "websocket",
    errors: ["upgrade_required"],
    answers: { 101: {} },
  }),
] as const;

const handlers = {
  "t.get": async ({ params }: { params: { name: string } }) => ({ status: 200, body: params.name.length }),
  "t.post": async ({ body }: { body: { text: string } }) => ({ status: 200, body: body.text.length }),
  "t.socket": async (_: unknown, socket: WebSocket) => {
    socket.on("message", (data: Buffer) => socket.send(String(data.length)));
    await new Promise((resolve) => socket.once("close", resolve));
  },
};

const open: FastifyInstance[] = [];
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(open.splice(0).map((app) => app.close()));
});

const serve = async (): Promise<number> => {
  const app = testApp({ operations, handlers, drainTimes: { drainMs: 200, abortedMs: 200 } });
  open.push(app);
  return await listen(app);
};

const status = async (port: number, request: string): Promise<number> => {
  const socket = connect(port, "127.0.0.1");
  sockets.push(socket);
  socket.write(request);
  return Number(/^HTTP\/1\.1 (\d+)/.exec(await text(socket))?.[1]);
};

const get = (target: string, headers = "") =>
  `GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${headers}\r\n`;
const post = (length: number) => {
  const body = `{"text":"${"x".repeat(length - 11)}"}`;
  return `POST /api/v1/things HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: ${length}\r\n\r\n${body}`;
};

test.each<readonly [string, number, number, (n: number) => string]>([
  // Host and Connection are two of them.
  ["headers", 100, 431, (n) => get("/api/v1/things/a", "A: b\r\n".repeat(n - 2))],
  ["query parameters", 64, 400, (n) => get(`/api/v1/things/a?${Array(n).fill("a=b").join("&")}`)],
  ["characters of a path segment", 512, 400, (n) => get(`/api/v1/things/${"x".repeat(n)}`)],
  ["bytes of a JSON body", 1024 ** 2, 413, post],
])("%s: %d are taken, one more is %d", async (_, most, refusal, request) => {
  const port = await serve();
  expect(await status(port, request(most))).toBe(200);
  expect(await status(port, request(most + 1))).toBe(refusal);
});

test("16 KiB of headers are taken, and beyond them nothing", async () => {
  const port = await serve();
  // The parser counts the request's target, and of each header its name and its value.
  const counted = "/api/v1/things/aHostlocalhostConnectioncloseX".length;
  const request = (n: number) => get("/api/v1/things/a", `X: ${"x".repeat(n - counted)}\r\n`);
  expect(await status(port, request(16 * 1024 - 1))).toBe(200);
  expect(await status(port, request(16 * 1024))).toBe(431);
});

test("a WebSocket message of 1 MiB is taken, and one byte more closes the connection with 1009", async () => {
  const port = await serve();
  const socket = new WebSocket(`ws://127.0.0.1:${port}/api/v1/socket`);
  await new Promise((resolve) => socket.once("open", resolve));
  const answer = new Promise((resolve) => socket.once("message", resolve));
  socket.send(Buffer.alloc(1024 ** 2));
  expect(String(await answer)).toBe(String(1024 ** 2));
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.send(Buffer.alloc(1024 ** 2 + 1));
  expect(await closed).toBe(1009);
});

test("8192 connections may be open, and one above the number is closed on arrival", async () => {
  const port = await serve();
  const server = open.at(-1)?.server;
  expect(server?.maxConnections).toBe(8192);
  // So many can't be made here before the first of them has been idle for too long.
  if (server !== undefined) server.maxConnections = 3;
  const kept = Array.from({ length: 3 }, () => connect(port, "127.0.0.1"));
  sockets.push(...kept);
  await Promise.all(kept.map((socket) => new Promise((resolve) => socket.once("connect", resolve))));
  const further = connect(port, "127.0.0.1");
  sockets.push(further);
  expect(await text(further)).toBe("");
  const [first] = kept;
  first?.write(get("/api/v1/things/a"));
  expect(first && (await text(first))).toMatch(/^HTTP\/1\.1 200 /);
});
