import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { builtNativeDir } from "../lib/native-dir.ts";
import type { Outbound } from "../lib/outbound.ts";
import { createOutbound } from "./create-outbound.ts";

let stateDir: string;
let outbound: Outbound;
let heard: IncomingMessage[] = [];
const server = createServer((request, response) => {
  heard.push(request);
  response.end(`${request.method} ${request.url}`);
});
const at = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const other = createServer((request, response) => {
  heard.push(request);
  response.end();
});

beforeAll(async () => {
  stateDir = await mkdtemp(join(tmpdir(), "stacyvm-outbound-"));
  for (const each of [server, other]) await new Promise<void>((resolve) => each.listen(0, "127.0.0.1", resolve));
  outbound = createOutbound({
    ...{ config: { resolvers: [], open: [] }, nativeDir: builtNativeDir, stateDir },
    known: [`${at()}/realms/one`, ""],
  });
});
afterAll(async () => {
  await outbound[Symbol.asyncDispose]();
  for (const each of [server, other]) each.closeAllConnections();
  for (const each of [server, other]) each.close();
  await rm(stateDir, { recursive: true });
});
beforeEach(() => {
  heard = [];
});

/** Those of this very test: the configuration in their environment names the port. */
const proxies = async (): Promise<readonly number[]> => {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const read = (pid: string) => readFile(`/proc/${pid}/environ`, "utf8").catch(() => "");
  const found = await Promise.all(
    pids.map(async (pid) => ((await read(pid)).includes(at().slice(7)) ? [Number(pid)] : [])),
  );
  return found.flat();
};

test("an address that the operator wrote is asked, and its headers don't name the proxy's password", async () => {
  const answer = await outbound.fetch(`${at()}/keys?a=b`, { headers: { accept: "application/json" } });
  expect([answer.status, await answer.text()]).toEqual([200, "GET /keys?a=b"]);
  const headers = heard.map(({ headers }) => headers);
  expect(headers).toMatchObject([{ accept: "application/json" }]);
  expect(JSON.stringify(headers)).not.toContain("proxy");
});

test("what an answer names on an internal address isn't asked", async () => {
  const { port } = other.address() as AddressInfo;
  for (const url of [
    `http://127.0.0.1:${port}/jwks`,
    `http://localhost:${port}/jwks`,
    "https://169.254.169.254/jwks",
  ]) {
    const answer = await outbound.fetch(url).then(
      ({ ok }) => ok,
      () => "rejected",
    );
    expect(answer, url).not.toBe(true);
  }
  expect(heard).toEqual([]);
});

test("an address is decided on without being connected to", async () => {
  const { port } = other.address() as AddressInfo;
  const asked = AbortSignal.timeout(20_000);
  expect(await outbound.isInternal(`127.0.0.1:${port}`, asked)).toBe(true);
  expect(await outbound.isInternal(at().slice(7), asked)).toBe(false);
  expect(await outbound.isInternal("203.0.113.7:443", asked)).toBe(false);
  expect(heard).toEqual([]);
});

test.runIf(process.getuid?.() === 0)(
  "the proxy begins again after it has ended, runs as nobody's user, and ends with its owner",
  async () => {
    await outbound.fetch(`${at()}/one`);
    const found = await proxies();
    expect(found).toHaveLength(1);
    const [first = Number.NaN] = found;
    const status = await readFile(`/proc/${first}/status`, "utf8");
    if (process.getuid?.() === 0) expect(Number(/^Uid:\s+(\d+)/m.exec(status)?.[1])).toBeGreaterThan(0x6ffe_0000 - 1);
    process.kill(first, "SIGKILL");
    await expect
      .poll(() =>
        outbound.fetch(`${at()}/two`).then(
          ({ status }) => status,
          () => 0,
        ),
      )
      .toBe(200);
    expect(await proxies()).not.toContain(first);
    await outbound[Symbol.asyncDispose]();
    expect(await proxies()).toEqual([]);
  },
);
