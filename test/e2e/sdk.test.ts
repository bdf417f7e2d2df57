import { randomBytes } from "node:crypto";
import { Client, ConnectionError, type Sandbox, SandboxNotFoundError, StacyVMError } from "stacyvm";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startServer, type TestServer } from "./server.ts";

let server: TestServer;
let client: Client;
let sandbox: Sandbox;

beforeAll(async () => {
  server = await startServer();
  client = new Client(server.url);
  sandbox = await client.spawn({ ttl: "10m", metadata: { job: "1" } });
});

afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
});

test("a command runs by either mode, with input, and its exit is a result", async () => {
  const shell = await sandbox.exec("cat; echo err >&2; exit 3", { stdin: "it's in" });
  expect(shell).toMatchObject({ exit_code: 3, stdout: "it's in", stderr: "err\n", timed_out: false, truncated: false });
  const argv = await sandbox.exec("printf", { mode: "argv", args: ["%s|", "$HOME", "a\nb", "--x"] });
  expect(argv.stdout).toBe("$HOME|a\nb|--x|");
});

test("a deadline throws with what the command had said", async () => {
  const error = await sandbox.exec("echo early; sleep 30", { timeout: "1s" }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(StacyVMError);
  expect(error).toMatchObject({ code: "TIMEOUT", reason: "exec_timeout", details: { stdout: "early\n" } });
  expect((error as StacyVMError).requestId).toBeTruthy();
});

test("output beyond the bound is cut, and said to be", async () => {
  const { stdout, truncated } = await sandbox.exec("head -c 5000 /dev/zero | tr '\\0' x", { maxOutputBytes: 100 });
  expect([stdout.length, truncated]).toEqual([100, true]);
});

test("a stream hands on output in order and ends with the exit", async () => {
  const stream = sandbox.execStream("echo a; echo b >&2; exit 5");
  const seen: Record<string, string> = {};
  for await (const { stream: name, data } of stream) seen[name] = (seen[name] ?? "") + data;
  expect(seen).toEqual({ stdout: "a\n", stderr: "b\n" });
  expect(await stream.done).toMatchObject({ exit_code: 5, timed_out: false });
});

test("raw output is every byte of it", async () => {
  const { stdout } = await sandbox.exec("printf '\\377\\000\\200'", { output: "bytes" });
  expect([...stdout]).toEqual([255, 0, 128]);
});

test("files come back byte for byte, whole or in part, under any name", async () => {
  const bytes = new Uint8Array(randomBytes(3_000_000));
  const path = "/workspace/-a 'b\"\n|🚀.bin";
  await sandbox.files.write(path, ReadableStream.from([bytes.slice(0, 10), bytes.slice(10)]), { mode: "0600" });
  expect(await sandbox.files.read(path)).toEqual(bytes);
  expect(await sandbox.files.read(path, { range: { start: 5, end: 8 } })).toEqual(bytes.slice(5, 9));
  const streamed = new Response(await sandbox.files.stream(path));
  expect(new Uint8Array(await streamed.arrayBuffer())).toEqual(bytes);
  expect(await sandbox.files.stat(path)).toMatchObject({ path, size: 3_000_000, mode: "0600", is_dir: false });
});

test("the older file methods do what they did", async () => {
  await sandbox.writeFile("/workspace/d/x.sh", "#!/bin/sh\n", "0755");
  expect(await sandbox.readFile("/workspace/d/x.sh")).toBe("#!/bin/sh\n");
  await sandbox.moveFile("/workspace/d/x.sh", "/workspace/d/y.sh");
  await sandbox.chmodFile("/workspace/d/y.sh", "0600");
  expect((await sandbox.listFiles("/workspace/d")).map((file) => file.mode)).toEqual(["0600"]);
  expect(await sandbox.globFiles("/workspace/**/*.sh")).toEqual(["/workspace/d/y.sh"]);
  await expect(sandbox.deleteFile("/workspace/d")).rejects.toMatchObject({ statusCode: 400 });
  await sandbox.deleteFile("/workspace/d", true);
  await expect(sandbox.statFile("/workspace/d")).rejects.toMatchObject({ reason: "file_not_found", statusCode: 404 });
});

test("lists go page by page, and the filter holds", async () => {
  const more = await client.spawn({ ttl: "10m" });
  const ids: string[] = [];
  for await (const info of client.listAll({ limit: 1, state: "running" })) ids.push(info.id);
  expect(ids).toEqual([more.id, sandbox.id]);
  expect(await client.list({ provider: "none" })).toEqual([]);
  await more.destroy();
  expect(more.state).toBe("destroyed");
  await expect(more.refresh()).rejects.toThrow(SandboxNotFoundError);
  await more.destroy();
});

test("a spawn says what its sandbox is, is got by its name, and is made once under a key", async () => {
  const spec = {
    name: "web",
    if_exists: "get" as const,
    env: { GREETING: "hi" },
    workdir: "/srv",
    user: "1000",
    disk_mb: 64,
    security: "default" as const,
    network_mode: "none",
    labels: { app: "web" },
  };
  const web = await client.spawn(spec, { idempotencyKey: "sdk" });
  expect([web.name, web.labels, web.security]).toEqual(["web", { app: "web" }, "default"]);
  expect(web.info).toMatchObject({ env_names: ["GREETING"], workdir: "/srv", user: "1000", disk_mb: 64 });
  expect((await web.exec("echo $GREETING; pwd; id -u")).stdout).toBe("hi\n/srv\n1000\n");
  expect((await client.spawn(spec, { idempotencyKey: "sdk" })).id).toBe(web.id);
  expect((await client.spawn({ name: "web", if_exists: "get" })).id).toBe(web.id);
  await expect(client.spawn({ name: "web" })).rejects.toMatchObject({
    code: "CONFLICT",
    reason: "already_exists",
    details: { name: "web", sandbox_id: web.id },
  });
  await expect(client.spawn({}, { idempotencyKey: "sdk" })).rejects.toMatchObject({
    code: "CONFLICT",
    reason: "idempotency_key_reused",
  });
  expect((await client.get(web.id)).name).toBe("web");
  await web.extendTtl("5m");
  expect((await web.refresh()).labels).toEqual({ app: "web" });
  const ids = async (options: Parameters<Client["list"]>[0]) => (await client.list(options)).map(({ id }) => id);
  expect(await ids({ labels: { app: "web" } })).toEqual([web.id]);
  expect(await ids({ labels: { app: true }, name: "web" })).toEqual([web.id]);
  expect(await ids({ sort: "created_at" })).toEqual([sandbox.id, web.id]);
  expect(await ids({ createdAfter: new Date(web.info.created_at) })).toEqual([]);
  expect(await ids({ createdBefore: web.info.created_at })).toEqual([sandbox.id]);
  await web.destroy();
});

test("events tell of a spawn while it happens", async () => {
  const stop = new AbortController();
  const types: string[] = [];
  const heard = (async () => {
    for await (const event of client.events({ signal: stop.signal })) {
      types.push(event.type);
      if (event.type === "exec.completed") break;
    }
  })();
  // Whether the server has our subscription can only be seen by what it sends.
  while (types.length === 0) await sandbox.exec("true");
  await heard;
  stop.abort();
  expect(types).toContain("exec.completed");
});

test("quotas and templates are kept, changed and deleted", async () => {
  await client.quotas.set("al", { max_sandboxes: 3, max_ttl: "2h" });
  expect(await client.quotas.get("al")).toMatchObject({ owner_id: "al", max_sandboxes: 3, max_ttl: "2h0m0s" });
  expect(await client.quotas.usage("al")).toMatchObject({ active_sandboxes: 0, quota_configured: true });
  expect((await client.quotaSummary()).total).toBe(1);
  await client.quotas.delete("al");
  await client.templates.save({ name: "t", image: "alpine:latest", memory_mb: 128, ttl: "5m" });
  expect(await client.templates.update("t", { memory_mb: 256 })).toMatchObject({ memory_mb: 256, ttl: "5m0s" });
  const spawned = await client.templates.spawn("t");
  expect(spawned.memoryMb).toBe(256);
  await spawned.destroy();
  await client.templates.delete("t");
  await expect(client.templates.get("t")).rejects.toMatchObject({ reason: "template_not_found" });
});

test("the rest of the surface answers", async () => {
  expect(await client.health()).toMatchObject({ status: "ok" });
  expect((await client.providers()).length).toBeGreaterThan(0);
  expect(await client.poolStatus()).toEqual({ enabled: false });
  expect(await client.admission()).toMatchObject({ allowed: true });
  expect(await client.prune()).toBe(0);
  expect(Array.isArray(await sandbox.logs({ lines: 5 }))).toBe(true);
  expect(typeof (await sandbox.stats()).supported).toBe("boolean");
  const before = sandbox.info.expires_at;
  await sandbox.extendTtl("1h");
  expect(Date.parse(sandbox.info.expires_at)).toBeGreaterThan(Date.parse(before));
  await expect(new Client("http://127.0.0.1:9").health({ timeoutMs: 5000 })).rejects.toThrow(ConnectionError);
});

test("named keys are made, used, listed and revoked, and a client tells who it is", async () => {
  const adminKey = "a".repeat(40);
  await using locked = await startServer({ config: { "auth.admin_api_key": adminKey } });
  const admin = new Client({ baseUrl: locked.url, adminApiKey: adminKey });
  const { api_key: made, key } = await admin.apiKeys.create("ci", { role: "viewer", tenant_id: "acme", ttl: "1h" });
  expect(made).toMatchObject({ name: "ci", role: "viewer", tenant_id: "acme", prefix: key.slice(0, 12) });
  const viewer = new Client({ baseUrl: locked.url, apiKey: key });
  const state = { credential_needed: true, caller: { role: "viewer", by: "key", tenant_id: "acme" } };
  expect(await viewer.session()).toMatchObject(state);
  expect(await viewer.list()).toEqual([]);
  await expect(viewer.apiKeys.list()).rejects.toMatchObject({ statusCode: 403 });
  expect((await admin.apiKeys.list()).map(({ id }) => id)).toEqual([made.id]);
  expect(await admin.apiKeys.revoke(made.id)).toMatchObject({ id: made.id, revoked_at: expect.any(String) });
  await expect(viewer.list()).rejects.toMatchObject({ statusCode: 401 });
  const tenants = `${locked.url}/api/v1/admin/tenants`;
  const post = (url: string, body: object) =>
    fetch(url, { method: "POST", headers: { "x-api-key": adminKey }, body: JSON.stringify(body) });
  expect((await post(tenants, { id: "acme", name: "Acme" })).status).toBe(201);
  expect((await post(`${tenants}/acme/projects`, { id: "web", name: "Web" })).status).toBe(201);
  const bound = await admin.apiKeys.create("web", { tenant_id: "acme", project_id: "web" });
  expect(bound.api_key).toMatchObject({ tenant_id: "acme", project_id: "web" });
  await expect(admin.apiKeys.revoke("key-none")).rejects.toMatchObject({ reason: "key_not_found" });
});
