import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { sendJson, serve } from "../test/server.ts";
import { Client, ConnectionError, handleResponse, ProviderError, StacyVMError } from "./index.ts";

/** Retries at once and remembers the waits that were asked for. */
const instant = () => {
  const waits: number[] = [];
  const sleep = async (ms: number) => void waits.push(ms);
  return { waits, retry: { sleep, random: () => 0.5, now: () => 0 } };
};

const health = { status: "ok", version: "v1", uptime: "1s" };

test("a read that the server refuses for now is repeated after the wait that Retry-After names", async () => {
  let left = 2;
  await using server = await serve((_, response) =>
    left-- > 0
      ? sendJson(response, { code: "UNAVAILABLE", message: "later" }, 503, { "Retry-After": "2" })
      : sendJson(response, health),
  );
  const { waits, retry } = instant();
  expect(await new Client({ baseUrl: server.baseUrl, retry }).health()).toEqual(health);
  expect(waits).toEqual([2100, 2100]);
});

test("waits double, with jitter, and end after the last attempt with the server's error", async () => {
  await using server = await serve((_, response) => sendJson(response, { code: "UNAVAILABLE", message: "no" }, 503));
  const { waits, retry } = instant();
  const client = new Client({ baseUrl: server.baseUrl, retry: { ...retry, attempts: 4 } });
  await expect(client.health()).rejects.toThrow(ProviderError);
  expect(waits).toEqual([100, 200, 400]);
});

test("a Retry-After above the longest wait is handed to the caller instead of being waited for", async () => {
  await using server = await serve((_, response) =>
    sendJson(response, { code: "RESOURCE_LIMIT", message: "slow down" }, 429, { "Retry-After": "3600" }),
  );
  const { waits, retry } = instant();
  const error = await new Client({ baseUrl: server.baseUrl, retry }).health().catch((thrown) => thrown);
  expect(error).toMatchObject({ statusCode: 429, retryAfterMs: 3_600_000 });
  expect(waits).toEqual([]);
});

test("a call that changes something is sent once, whatever the server answers", async () => {
  await using server = await serve((_, response) => sendJson(response, { code: "UNAVAILABLE", message: "no" }, 503));
  const client = new Client({ baseUrl: server.baseUrl, retry: instant().retry });
  await expect(client.spawn()).rejects.toThrow(ProviderError);
  await expect(client.quotas.set("a", {})).rejects.toThrow(ProviderError);
  expect(server.received.map((request) => request.method)).toEqual(["POST", "PUT"]);
});

test("a spawn under a key is sent again, with the same key and the same body", async () => {
  let left = 2;
  await using server = await serve((_, response) => {
    if (left-- > 0) response.socket?.destroy();
    else sendJson(response, { id: "sb-1" }, 201);
  });
  const client = new Client({ baseUrl: server.baseUrl, retry: instant().retry });
  const spec = { name: "web", env: { A: "1" } };
  expect((await client.spawn(spec, { idempotencyKey: "once" })).id).toBe("sb-1");
  const sent = server.received.map(({ headers, body }) => [headers["idempotency-key"], String(body)]);
  const first = ["once", JSON.stringify({ image: "alpine:latest", env: { A: "1" }, name: "web" })];
  expect(sent).toEqual([first, first, first]);
});

test("a delete whose first answer was lost takes the second one's 404 as done", async () => {
  let first = true;
  await using server = await serve((_, response) => {
    if (!first) return sendJson(response, { code: "NOT_FOUND", message: "gone" }, 404);
    first = false;
    response.socket?.destroy();
  });
  const client = new Client({ baseUrl: server.baseUrl, retry: instant().retry });
  await client.templates.delete("t");
  await expect(client.templates.delete("t")).rejects.toThrow("gone");
});

test("a server that isn't there is named in the error, with the cause", async () => {
  const server = await serve(() => {});
  await server[Symbol.asyncDispose]();
  const error = await new Client({ baseUrl: `${server.baseUrl}/`, retry: false }).spawn().catch((thrown) => thrown);
  expect(error).toBeInstanceOf(ConnectionError);
  expect(error.message).toBe(`Cannot connect to StacyVM server at ${server.baseUrl}`);
  expect(error).toMatchObject({ code: "CONNECTION_ERROR", cause: expect.anything() });
});

test("a server that doesn't answer costs no more than the timeout", async () => {
  await using server = await serve(() => {});
  const client = new Client({ baseUrl: server.baseUrl, timeout: 50 });
  await expect(client.health()).rejects.toThrow("Request to /health timed out after 50ms");
  await expect(client.health({ timeoutMs: 20 })).rejects.toThrow("timed out after 20ms");
});

test("a body that stops arriving runs into the timeout too", async () => {
  await using server = await serve((_, response) => {
    response.writeHead(200, { "Content-Type": "application/json" });
    response.write("[");
  });
  const client = new Client({ baseUrl: server.baseUrl, timeout: 100 });
  await expect(client.list()).rejects.toThrow("timed out after 100ms");
});

test("an aborted call rejects with the caller's own reason", async () => {
  await using server = await serve(() => {});
  const controller = new AbortController();
  const call = new Client(server.baseUrl).health({ signal: controller.signal });
  const reason = new Error(randomBytes(4).toString("hex"));
  controller.abort(reason);
  await expect(call).rejects.toBe(reason);
});

test("an abort during the wait between two tries ends the wait", async () => {
  const controller = new AbortController();
  await using server = await serve((_, response) => {
    response.on("finish", () => setImmediate(() => controller.abort("enough")));
    sendJson(response, { code: "UNAVAILABLE", message: "later" }, 503, { "Retry-After": "9" });
  });
  await expect(new Client(server.baseUrl).health({ signal: controller.signal })).rejects.toBe("enough");
});

test("what the catalogue says about a failure reaches the caller", async () => {
  const details = { stdout: "partial" };
  await using server = await serve((_, response) =>
    sendJson(
      response,
      { code: "TIMEOUT", message: "m", reason: "exec_timeout", request_id: "req-1", remediation: "r", details },
      408,
    ),
  );
  const error = await new Client(server.baseUrl).health().catch((thrown) => thrown);
  expect(error).toBeInstanceOf(StacyVMError);
  expect(error).toMatchObject({ reason: "exec_timeout", requestId: "req-1", remediation: "r", details });
});

test.each([
  ["not JSON", "<html>bad gateway</html>", "Bad Gateway"],
  ["JSON of another shape", "[1]", "Bad Gateway"],
  ["nothing", "", "Bad Gateway"],
])("an error body that is %s leaves the status to speak", async (_, body, message) => {
  const response = new Response(body, { status: 502, statusText: "Bad Gateway" });
  await expect(handleResponse(response)).rejects.toMatchObject({ message, statusCode: 502, code: "PROVIDER_ERROR" });
});

test("a success that isn't JSON is an error of the connection, not a SyntaxError", async () => {
  await using server = await serve((_, response) => void response.end("<html>"));
  await expect(new Client(server.baseUrl).health()).rejects.toThrow(ConnectionError);
});

test("credentials travel as headers, and an id can't leave its place in the path", async () => {
  const id = "../quotas?x#y";
  await using server = await serve((_, response) => sendJson(response, { id }));
  const client = new Client({
    baseUrl: server.baseUrl,
    apiKey: "k",
    adminApiKey: "a",
    token: "t",
    userId: "u@example.com",
    tenant: "acme",
    project: "web",
  });
  const sandbox = await client.get(id);
  await sandbox.stats();
  await sandbox.files.stat("f");
  expect(server.received[0]).toMatchObject({
    url: "/api/v1/sandboxes/..%2Fquotas%3Fx%23y?view=full",
    headers: {
      "x-api-key": "k",
      "x-admin-api-key": "a",
      "x-user-id": "u@example.com",
      "x-tenant-id": "acme",
      "x-project-id": "web",
      authorization: "Bearer t",
    },
  });
  expect(server.received.slice(1).map((request) => request.url)).toEqual([
    "/api/v1/sandboxes/..%2Fquotas%3Fx%23y/stats",
    "/api/v1/sandboxes/..%2Fquotas%3Fx%23y/files/stat?path=f",
  ]);
});

test.each([
  [undefined, "http://localhost:7423"],
  [{ host: "box", port: 1 }, "http://box:1"],
  [{ host: "::1" }, "http://[::1]:7423"],
  ["https://x.example///", "https://x.example"],
])("options %j address %s", async (options, address) => {
  const asked: string[] = [];
  const answer = async (url: unknown) => {
    asked.push(String(url));
    return Response.json(health);
  };
  const config = typeof options === "string" ? { baseUrl: options } : options;
  await new Client({ ...config, fetch: answer as typeof fetch }).health();
  expect(asked).toEqual([`${address}/api/v1/health`]);
});
