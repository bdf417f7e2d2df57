import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { WebSocket } from "ws";
import { spawnSandbox, type TestSandbox } from "./api.ts";
import { startProcess } from "./process-api.ts";
import { startServer, type TestServer } from "./server.ts";

let server: TestServer;
let sandbox: TestSandbox;
beforeAll(async () => {
  server = await startServer({ config: { "providers.mock.enabled": "true" } });
  sandbox = await spawnSandbox(server, { provider: "mock" });
});
afterAll(async () => {
  await sandbox[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

interface Attached {
  readonly socket: WebSocket;
  /** Frames so far: `replayed 0 stdout:text`, or a message's type. */
  readonly frames: readonly string[];
  readonly messages: readonly Record<string, unknown>[];
  /** Output so far. */
  readonly text: () => string;
  readonly until: (holds: () => boolean) => Promise<void>;
  readonly closed: Promise<number>;
}

const streams = ["", "stdout", "stderr", "pty"];

const attach = (processUrl: string, query = ""): Attached => {
  const socket = new WebSocket(`${processUrl.replace("http", "ws")}/socket${query}`);
  const frames: string[] = [];
  const messages: Record<string, unknown>[] = [];
  const output: Buffer[] = [];
  const waiting = new Set<() => void>();
  socket.on("message", (data: Buffer, binary) => {
    if (binary) {
      const first = data[0] ?? 0;
      const bytes = data.subarray(9);
      output.push(bytes);
      const name = streams[first & 0x7f];
      frames.push(`${first & 0x80 ? "replayed" : "now"} ${data.readBigUInt64BE(1)} ${name}:${bytes.toString()}`);
    } else {
      const message = JSON.parse(data.toString()) as Record<string, unknown>;
      messages.push(message);
      frames.push(String(message.type));
    }
    for (const look of waiting) look();
  });
  const closed = new Promise<number>((resolve, reject) => {
    socket.on("close", (code) => resolve(code));
    socket.on("error", reject);
  });
  return {
    socket,
    frames,
    messages,
    text: () => Buffer.concat(output).toString(),
    until: (holds) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (!holds()) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
        closed.then(
          () => reject(new Error(`closed after ${JSON.stringify(frames)}`)),
          (error) => reject(error),
        );
      }),
    closed,
  };
};

const live = ({ frames, until }: Attached) => until(() => frames.includes("live"));

test("a replay is marked, live ends it, and what follows isn't marked", async () => {
  const one = await startProcess(sandbox, { command: "printf abc; read x; printf def", stdin: true });
  const first = attach(one.url);
  await first.until(() => first.text() === "abc");
  const second = attach(one.url, "?offset=1");
  await live(second);
  second.socket.send(Buffer.from("\n"), { binary: true });
  expect([await first.closed, await second.closed]).toEqual([1000, 1000]);
  expect(second.frames).toEqual(["replayed 1 stdout:bc", "live", "now 3 stdout:def", "exit"]);
  expect(first.text()).toBe("abcdef");
  expect(second.messages).toMatchObject([{ offset: 3 }, { exit: { exit_code: 0, background: false } }]);
});

test("a terminal is left and come back to, with what was missed", async () => {
  const pty = { cols: 91, rows: 33 };
  const one = await startProcess(sandbox, {
    command: "stty -echo; echo in; read x; echo missed; read y; stty size",
    pty,
  });
  const first = attach(one.url);
  await first.until(() => first.text() === "in\r\n");
  first.socket.send(Buffer.from("\n"), { binary: true });
  first.socket.close();
  await first.closed;
  const second = attach(one.url, `?offset=${"in\r\n".length}`);
  await second.until(() => second.text() === "missed\r\n");
  second.socket.send(JSON.stringify({ type: "resize", cols: 120, rows: 40 }));
  second.socket.send(Buffer.from("\n"), { binary: true });
  expect(await second.closed).toBe(1000);
  expect(second.text()).toBe("missed\r\n40 120\r\n");
});

test("what a client sent before it left reaches the process", async () => {
  const one = await startProcess(sandbox, { command: "exec cat", stdin: true });
  const lines = Array.from({ length: 30 }, (_, at) => `line ${at}\n`);
  for (const line of lines) {
    const client = attach(one.url);
    await live(client);
    client.socket.send(Buffer.from(line), { binary: true });
    client.socket.close();
    await client.closed;
  }
  await expect.poll(async () => (await one.get()).next_offset).toBe(lines.join("").length);
  expect((await one.bytes()).toString()).toBe(lines.join(""));
  await one.signal("SIGKILL");
});

test("signals reach the tree and stdin is closed by a message", async () => {
  const one = await startProcess(sandbox, { command: "cat; echo end; exec sleep 70", stdin: true });
  const client = attach(one.url);
  await live(client);
  client.socket.send(Buffer.from([0, 255, 10]), { binary: true });
  client.socket.send(JSON.stringify({ type: "stdin_close" }));
  await client.until(() => client.text().endsWith("end\n"));
  client.socket.send(JSON.stringify({ type: "signal", signal: "SIGTERM" }));
  expect(await client.closed).toBe(1000);
  expect(client.messages.at(-1)).toMatchObject({ type: "exit", exit: { exit_code: 143, signal: 15 } });
  expect([...(await one.bytes()).subarray(0, 3)]).toEqual([0, 255, 10]);
});

test("leaving leaves the process alone", async () => {
  const one = await startProcess(sandbox, { command: "exec sleep 71" });
  const client = attach(one.url);
  await live(client);
  client.socket.terminate();
  await client.closed;
  expect((await one.get()).state).toBe("running");
  await one.signal("SIGKILL");
});

test("what was sent before leaving arrives, in order", async () => {
  const one = await startProcess(sandbox, { command: "exec cat", stdin: true });
  const client = attach(one.url);
  await live(client);
  const words = Array.from({ length: 300 }, (_, at) => `${at}\n`);
  for (const word of words) client.socket.send(Buffer.from(word), { binary: true });
  client.socket.close();
  await client.closed;
  await vi.waitFor(async () => expect((await one.bytes()).toString()).toBe(words.join("")));
  await one.signal("SIGKILL");
});

test("input that a process hasn't read when its client leaves doesn't hold up its end", async () => {
  const one = await startProcess(sandbox, { command: "exec sleep 74", stdin: true });
  const client = attach(one.url);
  await live(client);
  for (let at = 0; at < 40; at++) client.socket.send(Buffer.alloc(60 * 1024), { binary: true });
  client.socket.terminate();
  await client.closed;
  expect((await one.get()).state).toBe("running");
  await one.signal("SIGKILL");
  expect((await one.wait()).exit).toMatchObject({ exit_code: 137 });
});

test("input that the process doesn't take is told and the conversation goes on", async () => {
  const one = await startProcess(sandbox, { command: "exec sleep 72" });
  const client = attach(one.url);
  await live(client);
  client.socket.send(Buffer.from("x"), { binary: true });
  await client.until(() => client.messages.some(({ reason }) => reason === "process_state_conflict"));
  client.socket.send(JSON.stringify({ type: "resize", cols: 80, rows: 24 }));
  await client.until(() => client.frames.filter((frame) => frame === "error").length === 2);
  client.socket.send(JSON.stringify({ type: "signal", signal: "SIGKILL" }));
  expect(await client.closed).toBe(1000);
});

test("input far beyond what may wait arrives whole: the client is slowed", async () => {
  const size = 8 * 1024 * 1024;
  const one = await startProcess(sandbox, { command: "sleep 0.3; exec wc -c", stdin: true });
  const client = attach(one.url);
  await live(client);
  const piece = Buffer.alloc(256 * 1024, "x");
  for (let at = 0; at < size; at += piece.length) client.socket.send(piece, { binary: true });
  client.socket.send(JSON.stringify({ type: "stdin_close" }));
  expect(await client.closed).toBe(1000);
  expect(client.text().trim()).toBe(String(size));
});

test.each(["[", '"x"', '{"type":"start"}', '{"type":"resize","cols":0,"rows":1}', '{"type":"signal","signal":"SIGX"}'])(
  "the message %s closes with 1007",
  async (message) => {
    const one = await startProcess(sandbox, { command: "exec sleep 73" });
    const client = attach(one.url);
    await live(client);
    client.socket.send(message);
    expect(await client.closed).toBe(1007);
    await one.signal("SIGKILL");
  },
);

test("a process that isn't there closes with 1011 and says so", async () => {
  const client = attach(`${sandbox.url}/processes/pr-0000000000000000`);
  expect(await client.closed).toBe(1011);
  expect(client.messages).toMatchObject([{ type: "error", reason: "process_not_found" }]);
});

test("an offset that is none is refused before the upgrade, and a plain request is told what this route speaks", async () => {
  const one = await startProcess(sandbox, { command: "true" });
  await expect(attach(one.url, "?offset=-1").closed).rejects.toThrow("400");
  expect((await fetch(`${one.url}/socket`)).status).toBe(426);
});
