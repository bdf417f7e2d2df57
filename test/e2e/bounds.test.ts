import { afterAll, beforeAll, expect, test } from "vitest";
import { post, spawnSandbox, type TestSandbox } from "./api.ts";
import { startServer, type TestServer } from "./server.ts";

let server: TestServer;
let sandbox: TestSandbox;
let ended: string;
beforeAll(async () => {
  server = await startServer({ config: { "providers.mock.enabled": "true" } });
  sandbox = await spawnSandbox(server, { provider: "mock" });
  const started = await post(`${sandbox.url}/processes`, { command: "true" });
  ended = ((await started.json()) as { readonly id: string }).id;
});
afterAll(async () => {
  await sandbox?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

// The numbers are written out: a bound that somebody raises has to be raised here too.
test.each<readonly [string, string, string, (value: string) => Promise<Response>]>([
  [
    "output that an exec may be asked to hold",
    String(64 * 1024 ** 2),
    String(64 * 1024 ** 2 + 1),
    (value) => post(`${sandbox.url}/exec`, { command: "true", max_output_bytes: Number(value) }),
  ],
  [
    "a process's deadline",
    "720h",
    "720h0m0.001s",
    (value) => post(`${sandbox.url}/processes`, { command: "true", timeout: value }),
  ],
  [
    "the wait for a process's end",
    "10m",
    "10m0.001s",
    (value) => fetch(`${sandbox.url}/processes/${ended}/wait?timeout=${value}`),
  ],
  [
    "the life of a signed link",
    "168h",
    "168h0m0.001s",
    (value) => post(`${sandbox.url}/files/sign`, { operation: "read", path: "a", expires_in: value }),
  ],
])("%s may be %s, and %s is refused with 400", async (_, most, more, ask) => {
  const taken = await ask(most);
  expect(taken.status, await taken.text()).toBeLessThan(300);
  expect((await ask(more)).status).toBe(400);
});
