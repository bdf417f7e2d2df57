import { join } from "node:path";
import pino from "pino";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { loadConfig } from "../../packages/server/src/config/load.ts";
import { type ControlPlane, startControlPlane } from "../../packages/server/src/control-plane.ts";
import { spawnSandbox, type TestSandbox } from "./api.ts";
import { startServer, type TestServer } from "./server.ts";

let first: TestServer;
let sandbox: TestSandbox;
beforeAll(async () => {
  first = await startServer();
});
afterAll(() => first?.[Symbol.asyncDispose]());
beforeEach(async () => {
  sandbox = await spawnSandbox(first, {});
  return () => sandbox[Symbol.asyncDispose]();
});

const log = pino({ level: "silent" });
const start = (keys: Readonly<Record<string, string>>): Promise<ControlPlane> => {
  const overrides = { data_dir: first.dataDir, "server.port": "0", ...keys };
  const { config } = loadConfig({ overrides, env: {}, cwd: first.dataDir, home: first.dataDir });
  return startControlPlane({ config, log, version: "v0.0.0-test", validateResponses: true });
};
const answers = async (at = sandbox) => expect((await at.exec({ command: "echo here" })).body.stdout).toBe("here\n");

test("a second server on a data directory is refused, and the first one's sandboxes stay", async () => {
  for (const path of ["stacyvm.db", "another.db"]) {
    await expect(start({ "database.path": path })).rejects.toMatchObject({
      message: `another server uses the data directory ${first.dataDir}`,
      remediation: expect.stringContaining("data_dir of its own"),
    });
  }
  await answers();
});

test("another server's sandboxes below one state directory stay, and are not its own", async () => {
  await using other = await start({
    data_dir: join(first.dataDir, "other"),
    "images.store_dir": join(first.dataDir, "images"),
    "providers.oci.state_dir": join(first.dataDir, "oci"),
    "database.path": "other.db",
  });
  expect(await (await fetch(`${other.url}/api/v1/sandboxes`)).json()).toEqual([]);
  const { health } = (await (await fetch(`${other.url}/api/v1/providers/oci`)).json()) as { health: unknown };
  expect(health).toMatchObject({ healthy: true });
  await answers();
});

test("a server with another database is refused, and with the right one finds every sandbox again", async () => {
  await using server = await startServer();
  const kept = await spawnSandbox(server, {});
  const dataDir = server.dataDir;
  await server.stop();
  await expect(start({ data_dir: dataDir, "database.path": join(dataDir, "empty.db") })).rejects.toMatchObject({
    message: `the data directory ${dataDir} belongs to another database than this one`,
    remediation: expect.stringContaining(join(dataDir, "database-id")),
  });
  await using again = await start({ data_dir: dataDir });
  const url = `${again.url}/api/v1/sandboxes/${kept.id}`;
  const answer = await fetch(`${url}/exec`, { method: "POST", body: JSON.stringify({ command: "echo here" }) });
  expect(await answer.json()).toMatchObject({ stdout: "here\n" });
  await fetch(url, { method: "DELETE" });
});

test("a data directory without sandboxes goes with any database", async () => {
  await using server = await startServer();
  await server.stop();
  await using other = await start({ data_dir: server.dataDir, "database.path": ":memory:" });
  await using made = await spawnSandbox({ ...server, url: other.url }, {});
  await answers(made);
});
