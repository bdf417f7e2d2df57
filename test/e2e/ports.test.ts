import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { Client, type Sandbox } from "../../packages/sdk/src/index.ts";
import { startServer, type TestServer } from "./server.ts";

const apiKey = "key-of-the-ports-test";
const withKey = { "X-API-Key": apiKey };
const tenantId = "secret-tenant";
const app = readFileSync(join(import.meta.dirname, "../data/port-app.cjs"), "utf8");
let server: TestServer;
let client: Client;
let sandbox: Sandbox;
let proxy = "";
beforeAll(async () => {
  server = await startServer({ config: { "providers.mock.enabled": "true", "auth.api_key": apiKey } });
  client = new Client({ baseUrl: server.url, apiKey });
  // Mock has the host's programs, so a whole Node app can run in it.
  const spawned = await fetch(`${server.url}/api/v1/sandboxes`, {
    method: "POST",
    headers: { ...withKey, "X-Tenant-ID": tenantId, "Content-Type": "application/json" },
    body: JSON.stringify({ image: "alpine:latest", provider: "mock" }),
  });
  sandbox = await client.get(((await spawned.json()) as { id: string }).id);
  await sandbox.files.write("app.cjs", app);
  await sandbox.processes.start("node app.cjs 3000");
  proxy = `${server.url}/api/v1/sandboxes/${sandbox.id}/ports/3000/proxy`;
  await vi.waitFor(async () => expect((await ask("/")).status).toBe(200), { timeout: 20_000 });
});
afterAll(async () => {
  await sandbox?.destroy();
  await server[Symbol.asyncDispose]();
});

const ask = (path: string, init: RequestInit = {}, base = proxy) =>
  fetch(base + path, { ...init, headers: { ...withKey, ...init.headers } });
const reasonOf = async (answer: Response) => ((await answer.json()) as { reason: string }).reason;

/** Sends a request word for word and resolves to everything that came back until the end. */
const raw = async (text: string): Promise<string> => {
  const socket = net.connect(Number(new URL(server.url).port), "127.0.0.1");
  const parts: Buffer[] = [];
  socket.on("data", (part) => parts.push(part)).on("error", () => {});
  socket.write(text);
  // Not by once(), which rejects on an error: who is cut off may be reset.
  await new Promise((resolve) => socket.once("close", resolve));
  return Buffer.concat(parts).toString("latin1");
};
const head = (line: string, more: string) =>
  `${line} HTTP/1.1\r\nHost: ${new URL(server.url).host}\r\nX-API-Key: ${apiKey}\r\nConnection: close\r\n${more}\r\n`;

test.each(["GET", "POST", "PUT", "PATCH", "DELETE"])(
  "%s goes through with its body and without our credentials",
  async (method) => {
    const init = {
      method,
      ...(method === "GET" ? {} : { body: "the body" }),
      headers: {
        Authorization: "Bearer secret",
        Cookie: "session=secret",
        "X-Admin-API-Key": "secret",
        "X-User-ID": "somebody",
        "X-Tenant-ID": tenantId,
        "Proxy-Authorization": "Basic secret",
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Proto": "https",
        Forwarded: "for=203.0.113.9",
        "X-Custom": "kept",
      },
    };
    const answer = await ask("/some/path?a=1&b=%20", init);
    const seen = (await answer.json()) as {
      method: string;
      url: string;
      headers: Record<string, string>;
      body: string;
    };
    expect(seen).toMatchObject({ method, url: "/some/path?a=1&b=%20", body: method === "GET" ? "" : "the body" });
    expect(seen.headers).toMatchObject({
      host: "localhost:3000",
      "x-custom": "kept",
      "x-forwarded-host": new URL(server.url).host,
      "x-forwarded-prefix": new URL(proxy).pathname,
    });
    expect(JSON.stringify(seen)).not.toMatch(/secret|somebody|203\.0\.113|links-test|ports-test/);
  },
);

test("HEAD has the answer's head and no body", async () => {
  const answer = await ask("/", { method: "HEAD" });
  expect([answer.status, answer.headers.get("content-type"), await answer.text()]).toEqual([
    200,
    "application/json",
    "",
  ]);
});

test.each([
  "/a%2Fb/../c//d/%2e%2e/e?x=//..&y=%zz",
  "//evil.example/",
  "/?",
  "",
  "?q=1",
  "/%00%ff",
  "/http://evil.example/",
])("the address %j reaches the app byte for byte", async (path) => {
  const answer = await raw(head(`GET ${new URL(proxy).pathname}${path}`, ""));
  const expected = path.startsWith("/") ? path : `/${path}`;
  if (answer.startsWith("HTTP/1.1 400")) {
    // What the router itself can't read never comes as far as the app.
    expect(path).toMatch(/%zz|%ff/);
    return;
  }
  expect((JSON.parse(answer.slice(answer.indexOf("{"), answer.lastIndexOf("}") + 1)) as { url: string }).url).toBe(
    expected,
  );
});

test("an app can't speak in our name: no cookies, no policy of its own, no other page let in", async () => {
  const answer = await ask("/in-our-name");
  expect(answer.status).toBe(418);
  const headers = Object.fromEntries(answer.headers);
  expect(headers).toMatchObject({ "x-kept": "yes", "content-type": "text/html", "x-content-type-options": "nosniff" });
  expect(headers["content-security-policy"]).toContain("sandbox");
  expect(JSON.stringify(headers)).not.toContain("evil.example");
  for (const name of ["set-cookie", "access-control-allow-credentials", "strict-transport-security", "x-mine"]) {
    expect(headers).not.toHaveProperty(name);
  }
});

test("large bodies go both ways byte for byte", async () => {
  const bytes = randomBytes(20 << 20);
  const answer = await ask("/hash", { method: "POST", body: bytes });
  expect(await answer.text()).toBe(createHash("sha256").update(bytes).digest("hex"));
  expect((await (await ask("/zeros")).bytes()).length).toBe(20 << 20);
});

test("an event leaves at once, and a client that goes away ends its request to the app", async () => {
  const controller = new AbortController();
  const answer = await ask("/events", { signal: controller.signal });
  const { value } = (await answer.body?.getReader().read()) ?? {};
  expect(new TextDecoder().decode(value)).toBe("data: first\n\n");
  const before = Number(await (await ask("/gone")).text());
  controller.abort();
  await expect.poll(async () => Number(await (await ask("/gone")).text()), { timeout: 5_000 }).toBe(before + 1);
});

test("an answer that the app cuts is cut, not ended", async () => {
  const answer = await ask("/cut");
  await expect(answer.text()).rejects.toThrow();
});

test("what goes wrong behind a port is said with its reason", async () => {
  const at = (port: number | string) =>
    ask("/", {}, `${server.url}/api/v1/sandboxes/${sandbox.id}/ports/${port}/proxy`);
  const refused = await at(3999);
  expect([refused.status, await reasonOf(refused)]).toEqual([502, "port_refused"]);
  // Listens on ::1 alone, which is reached as well, and speaks no HTTP.
  const other = await at(3001);
  expect([other.status, await reasonOf(other)]).toEqual([502, "port_protocol"]);
  const long = await ask("/long-head");
  expect([long.status, await reasonOf(long)]).toEqual([502, "port_protocol"]);
  for (const port of [0, 65_536, "http", "3000x", "-1"]) expect([port, (await at(port)).status]).toEqual([port, 400]);
  const missing = await ask("/", {}, `${server.url}/api/v1/sandboxes/sb-0000000000000000/ports/3000/proxy`);
  expect(missing.status).toBe(404);
});

test("nobody comes in without a key, a cookie is none, and OPTIONS is answered before the app", async () => {
  expect((await fetch(`${proxy}/`)).status).toBe(401);
  expect((await fetch(`${proxy}/`, { headers: { Cookie: `session=${apiKey}` } })).status).toBe(401);
  expect((await fetch(`${proxy}/`, { method: "OPTIONS" })).headers.get("x-powered-by")).toBeNull();
});

test("a request that two readers could read in two ways never reaches the app", async () => {
  const path = new URL(proxy).pathname;
  const both = await raw(
    `${head(`POST ${path}/x`, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")}0\r\n\r\nGET /y`,
  );
  expect(both).toMatch(/^HTTP\/1\.1 400/);
  const twice = await raw(`${head(`POST ${path}/x`, "Content-Length: 5\r\nContent-Length: 6\r\n")}12345`);
  expect(twice).toMatch(/^HTTP\/1\.1 400/);
  // A GET with a body is framed anew: what is in it can't become a request of its own.
  const smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
  const chunk = `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`;
  const got = await raw(head(`GET ${path}/outer`, "Transfer-Encoding: chunked\r\n") + chunk);
  const seen = JSON.parse(got.slice(got.indexOf("{"), got.lastIndexOf("}") + 1)) as { url: string; body: string };
  expect(seen).toMatchObject({ url: "/outer", body: smuggled });
});

describe("a WebSocket", () => {
  const open = (headers: http.OutgoingHttpHeaders, path = "/socket") =>
    new Promise<{ status: number; socket?: net.Socket; head: string; protocol: unknown }>((resolve, reject) => {
      const request = http.get(proxy + path, {
        headers: { Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Key": "abc", ...headers },
      });
      request.on("upgrade", (answer, socket, first) => {
        resolve({ status: 101, socket, head: first.toString(), protocol: answer.headers["sec-websocket-protocol"] });
      });
      request.on("response", (answer) => {
        answer.resume();
        resolve({ status: answer.statusCode ?? 0, head: "", protocol: undefined });
      });
      request.on("error", reject);
    });

  test("carries bytes both ways as they are, and ends with either side", async () => {
    const { socket, head: first, protocol } = await open({ ...withKey, "Sec-WebSocket-Protocol": "mine" });
    if (socket === undefined) throw new Error("not upgraded");
    expect(protocol).toBe("mine");
    const bytes = randomBytes(3 << 20);
    let got = Buffer.from(first);
    const whole = new Promise<void>((resolve) => {
      socket.on("data", (part: Buffer) => {
        got = Buffer.concat([got, part]);
        if (got.length >= bytes.length + got.indexOf("\n") + 1 && got.includes("\n")) resolve();
      });
    });
    socket.write(bytes);
    await whole;
    const line = got.subarray(0, got.indexOf("\n")).toString();
    expect(line).toMatch(/^abc .*sec-websocket-key/);
    expect(line).not.toContain("x-api-key");
    expect(got.subarray(got.indexOf("\n") + 1).equals(bytes)).toBe(true);
    socket.end();
    await new Promise((resolve) => socket.once("close", resolve));
  });

  test("is refused without a key, to a page of another origin, and as the app refuses it", async () => {
    expect((await open({})).status).toBe(401);
    expect((await open({ ...withKey, Origin: "https://evil.example" })).status).toBe(403);
    expect((await open(withKey, "/refuses")).status).toBe(403);
  });
});

test("the ports on which something listens are listed with their programs", async () => {
  const ports = (await (
    await fetch(`${server.url}/api/v1/sandboxes/${sandbox.id}/ports`, { headers: withKey })
  ).json()) as { port: number; command?: string }[];
  expect(ports).toContainEqual(expect.objectContaining({ port: 3000, address: "127.0.0.1", command: "node" }));
});

test("the client's fetch goes to the app, and says what it answered whatever that was", async () => {
  const answer = await sandbox.fetch(3000, "posted?x=1", { method: "POST", body: "text", headers: { "X-Mine": "1" } });
  const seen = (await answer.json()) as { headers: Record<string, string> };
  expect(seen).toMatchObject({ method: "POST", url: "/posted?x=1", body: "text", headers: { "x-mine": "1" } });
  expect(JSON.stringify(seen)).not.toContain(apiKey);
  expect((await sandbox.fetch(3000, "/in-our-name")).status).toBe(418);
  expect((await sandbox.ports()).map(({ port }) => port)).toContain(3000);
});

test("a program in an oci sandbox without any network is reached", async () => {
  const oci = await client.spawn({ provider: "oci" });
  try {
    await oci.files.write("index.html", "from inside");
    await oci.processes.start("httpd -f -p 127.0.0.1:8080 -h /workspace");
    const base = `${server.url}/api/v1/sandboxes/${oci.id}/ports/8080/proxy`;
    await expect.poll(async () => (await ask("/", {}, base)).status, { timeout: 10_000 }).toBe(200);
    expect(await (await ask("/index.html", {}, base)).text()).toBe("from inside");
    const many = await Promise.all(Array.from({ length: 50 }, async () => (await ask("/", {}, base)).status));
    expect(new Set(many)).toEqual(new Set([200]));
  } finally {
    await oci.destroy();
  }
});
