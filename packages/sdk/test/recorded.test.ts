import { describe, expect, test } from "vitest";
import { Client, ProviderError, Sandbox, SandboxNotFoundError, StacyVMError } from "../src/index.ts";
import { retryPolicy } from "../src/retry.ts";
import { Transport } from "../src/transport.ts";
import type { SandboxInfo } from "../src/wire.ts";
import { answerOf, replay } from "./recorded.ts";
import { collect } from "./server.ts";

const info = answerOf("get") as SandboxInfo;

/** Calls the client of a server that knows one recorded exchange. */
async function against<T>(name: string, use: (client: Client, sandbox: Sandbox) => Promise<T>): Promise<T> {
  await using server = await replay(name);
  const options = { baseUrl: server.baseUrl, headers: {}, timeoutMs: 5000, retry: retryPolicy(false), fetch };
  return await use(new Client({ baseUrl: server.baseUrl, retry: false }), new Sandbox(new Transport(options), info));
}

type Use = (client: Client, sandbox: Sandbox) => Promise<unknown>;

const successes: [string, Use][] = [
  ["health", (client) => client.health()],
  ["providers", (client) => client.providers()],
  ["pool status", (client) => client.poolStatus()],
  ["list empty", (client) => client.list()],
  ["list one", (client) => client.list()],
  ["admission ttl", (client) => client.admission({ ttl: "48h" })],
  ["quota summary", (client) => client.quotaSummary()],
  ["quota list", (client) => client.quotas.list()],
  ["quota put", (client) => client.quotas.set("alice", { max_sandboxes: 3, max_ttl: "2h", max_exec_timeout: "30s" })],
  ["quota get", (client) => client.quotas.get("alice")],
  ["quota usage", (client) => client.quotas.usage("alice")],
  ["template list", (client) => client.templates.list()],
  ["template get", (client) => client.templates.get("py")],
  [
    "template create",
    (client) => client.templates.save({ name: "py", image: "alpine:latest", description: "d", memory_mb: 256 }),
  ],
  ["exec argv", (_, sandbox) => sandbox.exec("echo", { args: ["$HOME", "it's"], mode: "argv" })],
  ["file read", (_, sandbox) => sandbox.readFile("/workspace/a.txt")],
  ["file list", (_, sandbox) => sandbox.listFiles("/workspace")],
  ["file stat", (_, sandbox) => sandbox.statFile("/workspace/a.txt")],
  ["glob", (_, sandbox) => sandbox.globFiles("/workspace/*.txt")],
  ["logs", (_, sandbox) => sandbox.logs({ lines: 5 })],
  ["stats", (_, sandbox) => sandbox.stats()],
];

describe("recorded answers come back as they were recorded", () => {
  test.each(successes)("%s", async (name, call) => {
    expect(await against(name, call)).toEqual(answerOf(name));
  });
});

const silent: [string, Use][] = [
  ["file write", (_, sandbox) => sandbox.writeFile("/workspace/a.txt", "hello world")],
  ["delete dir", (_, sandbox) => sandbox.deleteFile("/workspace/d", true)],
  ["quota delete", (client) => client.quotas.delete("alice")],
  ["template delete", (client) => client.templates.delete("py")],
];

test.each(silent)("%s resolves to nothing", async (name, call) => {
  expect(await against(name, call)).toBeUndefined();
});

test("a spawn gives a sandbox that tells what the server said", async () => {
  const metadata = { job: "42" };
  const spec = { image: "alpine:latest", memory_mb: 512, vcpus: 1, ttl: "10m", metadata };
  const sandbox = await against("spawn", (client) => client.spawn(spec));
  const { id, state, image, provider, memoryMb, vcpus } = sandbox;
  expect({ id, state, image, provider, memory_mb: memoryMb, vcpus }).toEqual({
    id: info.id,
    state: "running",
    image: "alpine:latest",
    provider: "docker",
    memory_mb: 512,
    vcpus: 1,
  });
  expect(sandbox.toString()).toBe(`Sandbox(id="${info.id}", state="running")`);
  expect(sandbox.getPreviewUrl(3000)).toBe(`http://3000-${info.id}.localhost`);
  expect(JSON.parse(JSON.stringify(sandbox))).toEqual(answerOf("spawn"));
});

test("a template's spawn gives a sandbox", async () => {
  expect((await against("template spawn", (client) => client.templates.spawn("py"))).state).toBe("running");
});

test("an exec always names its mode, also where the caller didn't", async () => {
  await using server = await replay("exec shell");
  const options = { baseUrl: server.baseUrl, headers: {}, timeoutMs: 5000, retry: retryPolicy(false), fetch };
  const sandbox = new Sandbox(new Transport(options), info);
  const result = await sandbox.exec("echo $X && echo err >&2 && exit 3", { env: { X: "hi" } });
  expect(result).toMatchObject({ exit_code: 3, stdout: "hi\n", stderr: "err\n" });
  expect(JSON.parse(String(server.received[0]?.body)).mode).toBe("shell");
});

test("a stream of a server that doesn't tell the exit gives its chunks, and null as exit code", async () => {
  await against("exec stream", async (_, sandbox) => {
    const stream = sandbox.execStream("printf a; sleep 0.3; printf b >&2");
    const chunks = await collect(stream);
    expect(chunks).toEqual([
      { stream: "stdout", data: "a" },
      { stream: "stderr", data: "b" },
    ]);
    expect(await stream.done).toEqual({ exit_code: null, timed_out: false, truncated: false });
  });
});

test("extend takes over the sandbox that the server answers with", async () => {
  await against("extend", async (_, sandbox) => {
    await sandbox.extendTtl();
    expect(sandbox.info).toEqual(answerOf("extend"));
  });
});

test("a destroyed sandbox knows that it is", async () => {
  await against("destroy", async (_, sandbox) => {
    await sandbox.destroy();
    expect(sandbox.state).toBe("destroyed");
  });
});

test("prune tells how many went", async () => {
  expect(await against("prune", (client) => client.prune())).toBe(0);
});

const failures: [string, new (...args: never) => StacyVMError, string, number, Use][] = [
  ["spawn wrong provider", SandboxNotFoundError, "NOT_FOUND", 404, (client) => client.spawn({ provider: "nope" })],
  ["spawn ttl over max", StacyVMError, "RESOURCE_LIMIT", 429, (client) => client.spawn({ ttl: "48h" })],
  ["get unknown", SandboxNotFoundError, "NOT_FOUND", 404, (client) => client.get("sb-00000000")],
  ["exec timeout", StacyVMError, "TIMEOUT", 408, (_, sandbox) => sandbox.exec("sleep 2", { timeout: "500ms" })],
  ["extend negative", StacyVMError, "BAD_REQUEST", 400, (_, sandbox) => sandbox.extendTtl("-1m")],
  ["quota missing", SandboxNotFoundError, "NOT_FOUND", 404, (client) => client.quotas.get("alice")],
  [
    "template duplicate",
    StacyVMError,
    "CONFLICT",
    409,
    (client) => client.templates.save({ name: "py", image: "alpine:latest" }),
  ],
  ["health", ProviderError, "UNEXPECTED", 500, (client) => client.providers()],
];

test.each(failures)(
  "%s throws the class of its status, with the server's words",
  async (name, kind, code, status, call) => {
    const error = await against(name, call).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(kind);
    expect(error).toMatchObject({ code, statusCode: status });
    if (name !== "health") expect((error as Error).message).toBe((answerOf(name) as { message: string }).message);
  },
);
