import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { plainConnections } from "./plain-connections.ts";

/** Connections to a server that answers each request with what the test says. */
const connected = async (answer: (socket: Socket, request: string) => void) => {
  const directory = await mkdtemp(join(tmpdir(), "stacyvm-plain-"));
  const path = join(directory, "socket");
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    socket.on("data", (bytes) => answer(socket, bytes.toString()));
  }).listen(path);
  await once(server, "listening");
  const connections = plainConnections((onread) => connect({ path, ...(onread === undefined ? {} : { onread }) }));
  onTestFinished(async () => {
    connections.destroy();
    for (const socket of sockets) socket.destroy();
    server.close();
    await rm(directory, { recursive: true });
  });
  return { connections, sockets };
};

const get = { method: "GET", path: "/x", headers: {} } as const;
const never = () => new AbortController().signal;
const text = async (body: AsyncIterable<Buffer>): Promise<string> => {
  let all = "";
  for await (const part of body) all += part.toString();
  return all;
};

test("a connection serves the next request once its answer was read, and no other does", async () => {
  const { connections, sockets } = await connected((socket) =>
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
  );
  for (const _ of [1, 2, 3]) expect(await text((await connections.send(get, never())).body)).toBe("ok");
  expect(sockets).toHaveLength(1);
  const [first, second] = [await connections.send(get, never()), await connections.send(get, never())];
  expect(await text(first.body)).toBe("ok");
  second.body.discard();
  expect(await text((await connections.send(get, never())).body)).toBe("ok");
  expect(sockets).toHaveLength(2);
});

test("a reader that leaves closes the connection, as does an abort, which fails the read under way", async () => {
  const { connections, sockets } = await connected((socket) =>
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"),
  );
  for await (const part of (await connections.send(get, never())).body) {
    expect(part.toString()).toBe("ok");
    break;
  }
  const abort = new AbortController();
  const { body } = await connections.send(get, abort.signal);
  const reading = text(body);
  abort.abort(new Error("enough"));
  await expect(reading).rejects.toThrow("enough");
  await Promise.all(sockets.map(async (socket) => socket.closed || (await once(socket, "close"))));
  expect(sockets).toHaveLength(2);
});

test("an answer that ends early, in its head or its body, fails as a broken connection", async () => {
  for (const bytes of ["", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"]) {
    const { connections } = await connected((socket) => socket.end(bytes));
    const read = async () => await text((await connections.send(get, never())).body);
    await expect(read(), bytes).rejects.toMatchObject({ code: "ECONNRESET" });
  }
});

test("a head above the bound, what stands behind an answer, and a request that holds a line break are refused", async () => {
  const fault = { reason: "guest_protocol" };
  const long = await connected((socket) => socket.write(`HTTP/1.1 200 OK\r\nx: ${"y".repeat(16 * 1024)}`));
  await expect(long.connections.send(get, never())).rejects.toMatchObject(fault);
  const behind = await connected((socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok!"));
  await expect(connections(behind)).rejects.toMatchObject(fault);
  const split = { ...get, headers: { range: "bytes=0-1\r\nx: y" } };
  await expect(long.connections.send(split, never())).rejects.toMatchObject({ reason: "invalid_input" });
});

const connections = async (server: Awaited<ReturnType<typeof connected>>) =>
  await text((await server.connections.send(get, never())).body);

test("large answers arrive to the byte, cut wherever the socket cuts them", async () => {
  const content = Buffer.alloc(3 * 1024 * 1024);
  for (let at = 0; at < content.length; at++) content[at] = (at * 2_654_435_761) >>> 24;
  const { connections } = await connected((socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${content.length}\r\n\r\n`);
    socket.write(content);
  });
  let at = 0;
  for await (const part of (await connections.send(get, never())).body) {
    expect(content.compare(part, 0, part.length, at, at + part.length)).toBe(0);
    at += part.length;
  }
  expect(at).toBe(content.length);
});

test("a head of 16 KiB is read, and one byte more is the agent's fault", async () => {
  const head = (length: number) => {
    const [start, end] = ["HTTP/1.1 200 OK\r\nX: ", "\r\nContent-Length: 2\r\n\r\n"];
    return `${start}${"x".repeat(length - start.length - end.length)}${end}ok`;
  };
  const { connections } = await connected((socket, request) =>
    socket.write(head(request.startsWith("GET /x ") ? 16 * 1024 : 16 * 1024 + 1)),
  );
  expect(await text((await connections.send(get, never())).body)).toBe("ok");
  await expect(connections.send({ ...get, path: "/more" }, never())).rejects.toMatchObject({
    reason: "guest_protocol",
  });
});
