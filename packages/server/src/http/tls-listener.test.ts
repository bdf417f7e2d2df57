import { copyFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import type { Server as TlsServer } from "node:https";
import { connect as connectPlain } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { operations } from "@stacyvm/contract";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { type IssuedPair, makeAuthority, type TestAuthority } from "../config/certificates.testing.ts";
import { judgeTlsPair, readTlsFiles } from "../config/tls-files.ts";
import { systemClock } from "../lib/clock.ts";
import { collectLog, listen, testApp } from "./app.testing.ts";
import { reloadTlsPair } from "./tls-listener.ts";

let folder = "";
let authority: TestAuthority;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "stacyvm-tls-"));
  authority = makeAuthority(folder);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const live = operations.filter(({ id }) => id === "system.live");

const serveTls = async (pair: IssuedPair, clock = systemClock) => {
  const files = { certFile: join(folder, "shown.pem"), keyFile: join(folder, "shown.key") };
  copyFileSync(pair.certFile, files.certFile);
  copyFileSync(pair.keyFile, files.keyFile);
  const { log, lines } = collectLog();
  const first = judgeTlsPair(files, await readTlsFiles(files), Date.now());
  const handlers = { "system.live": async () => ({ status: 200, body: { status: "alive", uptime: "1s" } }) };
  const app = testApp({ operations: live, handlers, tls: first, log });
  onTestFinished(() => app.close());
  const reload = reloadTlsPair({ files, first, server: app.server as TlsServer, clock, log, intervalMs: 5 });
  onTestFinished(() => reload[Symbol.asyncDispose]());
  const port = await listen(app);
  const told = (message: string) => lines.filter(({ msg }) => msg === message);
  return { app, files, first, port, told };
};

const secured = (port: number, options: object = {}): Promise<TLSSocket> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false, ...options });
    socket.once("secureConnect", () => resolve(socket)).once("error", reject);
    onTestFinished(() => void socket.destroy());
  });

const shown = async (port: number): Promise<string> => {
  const socket = await secured(port);
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
};

const broken = "the new TLS certificate and key can't be used, the last ones stay";

test.each([
  ["in place", copyFileSync],
  ["by rename", renameSync],
])("files replaced %s are shown, but not while the pair is half there, which is warned of once", async (_how, put) => {
  const { port, files, first, told } = await serveTls(authority.issue("before"));
  const next = authority.issue("next");
  expect(await shown(port)).toBe(first.fingerprint);

  const warned = (of: string) => told(broken).filter(({ problems }) => JSON.stringify(problems).includes(of));
  put(next.certFile, files.certFile);
  await expect.poll(() => warned("doesn't belong to the certificate")).toHaveLength(1);
  expect(await shown(port)).toBe(first.fingerprint);
  rmSync(files.keyFile);
  await expect.poll(() => warned("ENOENT")).toHaveLength(1);
  expect(await shown(port)).toBe(first.fingerprint);

  put(next.keyFile, files.keyFile);
  await expect.poll(() => told("TLS certificate replaced")).toHaveLength(1);
  expect(told("TLS certificate replaced")[0]?.fingerprint).toBe(await shown(port));
  expect(await shown(port)).not.toBe(first.fingerprint);
  expect(warned("doesn't belong to the certificate")).toHaveLength(1);
  expect(warned("ENOENT")).toHaveLength(1);
});

test("an expired pair doesn't replace one that counts", async () => {
  const { port, files, first, told } = await serveTls(authority.issue("valid"));
  const { certFile, keyFile } = authority.issue("expired", { days: -1 });
  writeFileSync(files.certFile, "");
  copyFileSync(keyFile, files.keyFile);
  copyFileSync(certFile, files.certFile);
  await expect.poll(() => JSON.stringify(told(broken))).toContain("expired on");
  expect(await shown(port)).toBe(first.fingerprint);
});

test("the end of the certificate is told two weeks before, and when it has come", async () => {
  let nowMs = Date.now();
  const { told } = await serveTls(authority.issue("ageing"), { ...systemClock, now: () => nowMs });
  expect(told("the TLS certificate expires soon")).toEqual([]);
  nowMs += 17 * 86_400_000;
  await expect.poll(() => told("the TLS certificate expires soon")).toHaveLength(1);
  nowMs += 14 * 86_400_000;
  await expect.poll(() => told("the TLS certificate has expired")).toHaveLength(1);
});

test.each([
  ["TLSv1", false],
  ["TLSv1.1", false],
  ["TLSv1.2", true],
  ["TLSv1.3", true],
] as const)("%s is spoken: %s", async (version, spoken) => {
  const { port } = await serveTls(authority.issue("versions"));
  const ciphers = "DEFAULT:@SECLEVEL=0";
  const trying = secured(port, { minVersion: version, maxVersion: version, ciphers });
  if (spoken) expect((await trying).getProtocol()).toBe(version);
  else await expect(trying).rejects.toThrow(/alert protocol version|unsupported protocol/);
});

test("who speaks plain HTTP to the port gets nothing of the API", async () => {
  const { port } = await serveTls(authority.issue("plain"));
  const socket = connectPlain(port, "127.0.0.1");
  socket.end("GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk)).on("error", () => {});
  await new Promise((resolve) => socket.once("close", resolve));
  expect(Buffer.concat(chunks).toString()).not.toContain("alive");
});

test("connections that never say anything don't hold up a shutdown", async () => {
  const { app, port } = await serveTls(authority.issue("silent"));
  const plain = connectPlain(port, "127.0.0.1");
  await new Promise((resolve) => plain.once("connect", resolve));
  const gone = Promise.all(
    [plain, await secured(port)].map(
      (one) => new Promise((resolve) => one.on("error", () => {}).once("close", resolve)),
    ),
  );
  await app.close();
  await gone;
});

test("browsers are told to come by TLS alone, on names that no other program shares", async () => {
  const { app } = await serveTls(authority.issue("strict"));
  const strict = async (host: string) =>
    (await app.inject({ url: "/api/v1/live", headers: { host } })).headers["strict-transport-security"];
  expect(await strict("vm.example")).toBe("max-age=31536000");
  for (const host of ["localhost", "localhost:7423", "app.localhost:7423"]) expect(await strict(host)).toBeUndefined();
  const { log } = collectLog();
  const plain = testApp({ operations: [], handlers: {}, log });
  const answer = await plain.inject({ url: "/api/v1/live", headers: { host: "vm.example" } });
  expect(answer.headers["strict-transport-security"]).toBeUndefined();
});
