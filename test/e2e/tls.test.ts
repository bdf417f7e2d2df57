import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import type http from "node:http";
import https from "node:https";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { connect } from "node:tls";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import {
  type IssuedPair,
  makeAuthority,
  type TestAuthority,
} from "../../packages/server/src/config/certificates.testing.ts";
import { packageFolder, toolsPython } from "../clients/python-package.ts";
import { type FaultHost, makeFaultHost, type ServerProcess } from "../faults/server-process.ts";
import { launcher, runProgram } from "./cli-process.ts";

const apiKey = "k".repeat(40);
const key = { "X-API-Key": apiKey };
let folder = "";
let authority: TestAuthority;
let files: IssuedPair;
let host: FaultHost;
let server: ServerProcess;
let ca = "";

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "stacyvm-tls-"));
  authority = makeAuthority(folder);
  ca = readFileSync(authority.caFile, "utf8");
  files = { certFile: join(folder, "shown.pem"), keyFile: join(folder, "shown.key") };
  const first = authority.issue("first");
  copyFileSync(first.certFile, files.certFile);
  copyFileSync(first.keyFile, files.keyFile);
  host = await makeFaultHost({ "auth.api_key": apiKey, "providers.default": "mock" });
  server = await host.start({
    "server.tls.cert_file": files.certFile,
    "server.tls.key_file": files.keyFile,
  });
});
afterAll(async () => {
  server?.signal("SIGTERM");
  await server?.ended;
  await host?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const port = () => Number(new URL(server.url).port);

const ask = (path: string, { method = "GET", body = "" } = {}): Promise<http.IncomingMessage> =>
  new Promise((resolve, reject) => {
    const options = { ca, agent: false, method, headers: key } as const;
    https.request(`${server.url}/api/v1${path}`, options, resolve).on("error", reject).end(body);
  });

/** The certificate that a new connection is shown. */
const shown = (): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port: port(), ca }, () => {
      resolve(socket.getPeerCertificate().fingerprint256);
      socket.destroy();
    });
    socket.once("error", reject);
  });

const fingerprint = ({ certFile }: IssuedPair): string =>
  execFileSync("openssl", ["x509", "-in", certFile, "-noout", "-fingerprint", "-sha256"], { encoding: "utf8" })
    .split("=")[1]
    ?.trim() ?? "";

const spawnSandbox = async (): Promise<string> => {
  const answer = await ask("/sandboxes", { method: "POST", body: "{}" });
  return (JSON.parse(await text(answer)) as { id: string }).id;
};

test("probes answer over TLS, and nothing does without", async () => {
  expect(server.url).toMatch(/^https:\/\//);
  for (const path of ["/live", "/health", "/ready"]) expect((await ask(path)).statusCode).toBe(200);
  await expect(fetch(`http://127.0.0.1:${port()}/api/v1/live`)).rejects.toThrow("fetch failed");
  await expect(fetch(`${server.url}/api/v1/live`)).rejects.toThrow("fetch failed");
});

test("a replaced pair is shown to the next connection while an open stream goes on, and a broken one never is", async () => {
  const events = await ask("/events");
  let told = "";
  events.setEncoding("utf8").on("data", (part: string) => {
    told += part;
  });
  const before = await shown();
  const next = authority.issue("next");

  writeFileSync(files.keyFile, "-----BEGIN PRIVATE KEY-----\nMIG");
  await expect.poll(server.log, { timeout: 15_000 }).toContain("no private key that can be read");
  expect(await shown()).toBe(before);
  renameSync(next.certFile, files.certFile);
  await expect.poll(server.log, { timeout: 15_000 }).toContain("can't be used, the last ones stay");
  expect(await shown()).toBe(before);

  renameSync(next.keyFile, files.keyFile);
  await expect.poll(shown, { timeout: 15_000 }).toBe(fingerprint(files));
  expect(fingerprint(files)).not.toBe(before);
  const id = await spawnSandbox();
  await expect.poll(() => told, { timeout: 15_000 }).toContain(id);
  expect(server.log()).not.toContain("PRIVATE KEY");
  expect((await ask(`/sandboxes/${id}`, { method: "DELETE" })).statusCode).toBe(200);
});

const runtimes = [
  ["the command line", async (id: string) => await cli(["exec", id, "--", "echo", "through TLS"])],
  [
    "the TypeScript client",
    async (id: string) => await script(process.execPath, ["--input-type=module", "-e", typescript(id)]),
  ],
  ["the Python client", async (id: string) => await script(toolsPython(), ["-B", "-c", python(id)])],
] as const;

/** Trusts the authority of the test as an operator would: by the environment. */
const environment = () => ({
  NODE_EXTRA_CA_CERTS: authority.caFile,
  SSL_CERT_FILE: authority.caFile,
  STACYVM_API_KEY: apiKey,
  PYTHONPATH: join(packageFolder, "src"),
});
const cli = (words: readonly string[], env: Record<string, string> = environment()) =>
  runProgram(launcher, ["--server", server.url, ...words], { env });
const script = (program: string, args: readonly string[]) =>
  runProgram(program, args, { env: environment(), cwd: join(import.meta.dirname, "../..") });
const typescript = (id: string) => `
  import { Client } from "stacyvm";
  const sandbox = await new Client({ baseUrl: "${server.url}", apiKey: "${apiKey}" }).get("${id}");
  console.log((await sandbox.exec("echo through TLS")).stdout);`;
const python = (id: string) => `
from stacyvm import Client
with Client("${server.url}", api_key="${apiKey}") as client:
    print(client.get("${id}").exec("echo through TLS").stdout)`;

test.each(runtimes)("%s reaches the server, with an authority of one's own", async (_who, run) => {
  const id = await spawnSandbox();
  const { stdout, stderr, status } = await run(id);
  expect([stdout.trim(), stderr, status]).toEqual(["through TLS", "", 0]);
});

test("the command line says what is wrong with a certificate", async () => {
  const trusted = environment();
  const untrusting = { STACYVM_API_KEY: apiKey };
  const list = async (url: string, env: Record<string, string>) => {
    const { status, stderr } = await runProgram(launcher, ["--server", url, "list"], { env });
    expect(status).toBe(1);
    return stderr;
  };
  expect(await list(server.url, untrusting)).toContain(
    "isn't trusted here. Name its authority's: NODE_EXTRA_CA_CERTS=",
  );
  expect(await list(`https://localhost:${port()}`, trusted)).toContain("Name the server as its certificate does");
  await using plain = createServer((socket) =>
    socket
      .on("error", () => {})
      .resume()
      .end("HTTP/1.1 400 Bad Request\r\n\r\n"),
  );
  await new Promise<void>((resolve) => plain.listen(0, "127.0.0.1", resolve));
  const { port: other } = plain.address() as AddressInfo;
  expect(await list(`https://127.0.0.1:${other}`, trusted)).toContain("doesn't speak TLS");
});

test("a WebSocket goes over TLS", async () => {
  const id = await spawnSandbox();
  const socket = new WebSocket(`${server.url.replace("https", "wss")}/api/v1/sandboxes/${id}/exec/ws`, {
    ca,
    headers: key,
  });
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  socket.send(JSON.stringify({ command: "echo through TLS" }));
  const first = await new Promise<string>((resolve) => socket.once("message", (data) => resolve(String(data))));
  expect(first).toContain("through TLS");
  socket.terminate();
});

test.each([
  ["files that aren't there", () => ({ certFile: "/nowhere/cert.pem", keyFile: "/nowhere/key.pem" }), "ENOENT"],
  ["one without the other", () => ({ ...authority.issue("alone"), keyFile: "" }), "key_file is missing beside"],
  [
    "another's key",
    () => ({ ...authority.issue("mine"), keyFile: authority.issue("other").keyFile }),
    "doesn't belong",
  ],
  ["an expired certificate", () => authority.issue("expired", { days: -1 }), "expired on 20"],
])("a server with %s doesn't start, and says so", async (_what, make, message) => {
  const { certFile, keyFile } = make();
  const config = join(folder, "bad.yaml");
  const tls = JSON.stringify({ cert_file: certFile, key_file: keyFile });
  writeFileSync(config, `data_dir: ${join(folder, "data")}\nserver: {port: 0, tls: ${tls}}\n`);
  const { status, stderr } = await runProgram(launcher, ["serve", "--config", config]);
  expect([status, stderr]).toEqual([1, expect.stringContaining(message)]);
  const examined = await runProgram(launcher, ["--server", "http://127.0.0.1:9", "doctor", "--config", config]);
  expect(examined.stdout).toMatch(new RegExp(`FAIL.*${message}`));
});
