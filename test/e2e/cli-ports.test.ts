import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import net from "node:net";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { Client, type Sandbox } from "../../packages/sdk/src/index.ts";
import { launcher, runProgram } from "./cli-process.ts";
import { startServer, type TestServer } from "./server.ts";

const apiKey = "key-of-the-port-forward-test";
/** Tells the checksum of what came, once its client has ended its side; to `hello` it answers at once. */
const program = `
const { createHash } = require("node:crypto");
require("node:net").createServer({ allowHalfOpen: true }, (socket) => {
  const hash = createHash("sha256");
  socket.on("data", (data) => {
    if (data.toString() === "hello") socket.write("welcome");
    hash.update(data);
  });
  socket.on("end", () => socket.end(hash.digest("hex")));
  socket.on("error", () => {});
}).listen(4000, "127.0.0.1");`;

let server: TestServer;
let sandbox: Sandbox;
beforeAll(async () => {
  server = await startServer({ config: { "providers.mock.enabled": "true", "auth.api_key": apiKey } });
  sandbox = await new Client({ baseUrl: server.url, apiKey }).spawn({ provider: "mock" });
  await sandbox.files.write("program.cjs", program);
  await sandbox.processes.start("node program.cjs");
  await vi.waitFor(async () => expect((await sandbox.ports()).map(({ port }) => port)).toContain(4000), {
    timeout: 20_000,
  });
});
afterAll(async () => {
  await sandbox?.destroy().catch(() => {});
  await server?.[Symbol.asyncDispose]();
});

const environment = () => ({ ...process.env, STACYVM_SERVER: server.url, STACYVM_API_KEY: apiKey });

/** A running port-forward, and where it listens. */
const forward = async (...words: readonly string[]) => {
  const child = spawn(launcher, ["port-forward", "--json", ...words], { env: environment(), detached: true });
  const told = { stderr: "" };
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    told.stderr += text;
  });
  const ended = once(child, "exit") as Promise<[number | null]>;
  const [line] = (await Promise.race([once(child.stdout, "data"), ended])) as [unknown];
  if (!Buffer.isBuffer(line)) throw new Error(`it ended: ${told.stderr}`);
  const { port } = JSON.parse(line.toString()) as { port: number };
  return { port, told, ended, interrupt: () => child.kill("SIGINT") };
};

/** Sends, ends its side, and resolves to everything that comes back. */
const exchange = async (port: number, bytes: Uint8Array): Promise<string> => {
  const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const parts: Buffer[] = [];
  socket.on("data", (part) => parts.push(part)).on("error", () => {});
  socket.end(bytes);
  // Not by once(), which rejects on an error: who is cut off may be reset.
  await new Promise((resolve) => socket.once("close", resolve));
  return Buffer.concat(parts).toString();
};

test("a local port leads into the sandbox: bytes both ways, either end's half-close, many at once, until Ctrl-C", async () => {
  const running = await forward(sandbox.id, "0:4000");
  const bytes = randomBytes(30 << 20);
  expect(await exchange(running.port, bytes)).toBe(createHash("sha256").update(bytes).digest("hex"));
  expect(await exchange(running.port, Buffer.from("hello"))).toMatch(/^welcome[0-9a-f]{64}$/);
  const small = Array.from({ length: 40 }, () => randomBytes(1000));
  const sums = await Promise.all(small.map((one) => exchange(running.port, one)));
  expect(sums).toEqual(small.map((one) => createHash("sha256").update(one).digest("hex")));
  running.interrupt();
  expect((await running.ended)[0]).toBe(130);
});

test("a port on which nothing listens is said, and the forward stays; a sandbox that goes ends it", async () => {
  const own = await new Client({ baseUrl: server.url, apiKey }).spawn({ provider: "mock" });
  const running = await forward(own.id, "0:4999");
  expect(await exchange(running.port, Buffer.from("x"))).toBe("");
  await vi.waitFor(() => expect(running.told.stderr).toContain("port 4999: Nothing listens"));
  await own.destroy();
  await exchange(running.port, Buffer.from("x"));
  expect((await running.ended)[0]).toBe(1);
});

test("what can't be forwarded is said before anything listens, and ports are listed", async () => {
  const run = (...words: readonly string[]) =>
    runProgram(launcher, words, { env: environment() as Record<string, string> });
  for (const pair of ["http", "1:0", "70000", "1:2:3", "-1"]) {
    expect((await run("port-forward", sandbox.id, "--", pair)).stderr).toContain("no pair of ports");
  }
  const taken = net.createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const { port } = taken.address() as net.AddressInfo;
  expect((await run("port-forward", sandbox.id, `${port}:4000`)).stderr).toContain("is taken");
  taken.close();
  expect((await run("port-forward", "sb-0000000000000000", "0:4000")).status).toBe(1);
  const listed = await run("ports", sandbox.id);
  expect(listed.stdout).toMatch(/^PORT +ADDRESS +PID +COMMAND\n4000 +127\.0\.0\.1 +\d+ +node/);
});
