import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "../../packages/server/src/providers/contract/suite.testing.ts";
import {
  engineLacks,
  startEngine,
  type TestEngine,
} from "../../packages/server/src/providers/docker/docker-engine.testing.ts";
import { post, spawnSandbox } from "./api.ts";
import { startServer } from "./server.ts";

const lacks = engineLacks();

interface Shown {
  readonly state: string;
  readonly provider: string;
}

describe.each([
  { engineIs: "plain", remap: false, usual: "restricted", uid: "1000\n" },
  { engineIs: "remapped", remap: true, usual: "default", uid: "0\n" },
])("a server over a $engineIs Docker engine", ({ remap, usual, uid }) => {
  let engine: TestEngine;

  const test = (name: string, body: () => Promise<void>): void =>
    it(name, async (context) => {
      if (lacks !== undefined) context.skip(lacks);
      await body();
    });
  const config = () => ({
    "providers.oci.enabled": "false",
    "providers.docker.enabled": "true",
    "providers.docker.socket": engine.socket,
    "providers.default": "auto",
  });
  const kill = async (id: string): Promise<void> => {
    const found = await engine.client.listContainers({ filters: JSON.stringify({ label: [`stacyvm.sandbox=${id}`] }) });
    await engine.client.getContainer(found[0]?.Id ?? "").kill();
  };
  const containers = async () => (await engine.client.listContainers({ all: true })).length;

  beforeAll(async () => {
    if (lacks === undefined) engine = await startEngine({ remap });
  });
  afterAll(async () => {
    await engine?.close();
  });

  test("takes it by itself, runs commands in an image that only the server has, and leaves nothing", async () => {
    await using server = await startServer({ config: config() });
    expect(server.defaultProvider).toBe("docker");
    {
      await using sandbox = await spawnSandbox(server, { image: "alpine:latest" });
      const { body } = await sandbox.exec({ command: "id -u; pwd" });
      expect(body.stdout).toBe(`${uid}/workspace\n`);
      const shown = (await (await fetch(sandbox.url)).json()) as Shown;
      expect(shown).toMatchObject({ provider: "docker", state: "running" });
      const stats = await (await fetch(`${sandbox.url}/stats`)).json();
      expect(stats).toMatchObject({ supported: true });
    }
    expect(await containers()).toBe(0);
  });

  test("uses the strongest profile that the engine carries where nobody asks for one", async () => {
    await using server = await startServer({ config: config() });
    await using sandbox = await spawnSandbox(server, {});
    const bounding = (await sandbox.exec({ command: "id -u; grep CapBnd /proc/self/status" })).body.stdout;
    expect(bounding).toBe(`${uid}CapBnd:\t${usual === "restricted" ? "0000000000000000" : "00000000000004fb"}\n`);
  });

  test("finds its sandboxes again after a restart of the server, and those that ended by themselves as errors", async () => {
    const first = await startServer({ config: config() });
    const lives = await spawnSandbox(first, {});
    const dies = await spawnSandbox(first, {});
    await lives.exec({ command: "echo kept > /workspace/kept" });
    await first.stop();
    await kill(dies.id);
    const again = { ...config(), data_dir: first.dataDir, "reaper.interval": "1s" };
    {
      await using server = await startServer({ config: again });
      const url = `${server.url}/api/v1/sandboxes`;
      const read = await post(`${url}/${lives.id}/exec`, { command: "cat /workspace/kept" });
      expect(((await read.json()) as { stdout: string }).stdout).toBe("kept\n");
      expect((await fetch(`${url}/${dies.id}`)).status).toBe(404);
      await kill(lives.id);
      const state = async () => ((await (await fetch(`${url}/${lives.id}`)).json()) as Shown).state;
      expect(await until(state, (value) => value !== "running")).toBe("error");
      expect((await fetch(`${url}/${lives.id}`, { method: "DELETE" })).status).toBe(200);
      expect(await containers()).toBe(0);
    }
    await first[Symbol.asyncDispose]();
  });

  test("says of its provider what it found, and no way to the engine", async () => {
    await using server = await startServer({ config: config() });
    const detail = await (await fetch(`${server.url}/api/v1/providers/docker`)).json();
    expect(detail).toMatchObject({ name: "docker", healthy: true, default: true });
    expect(JSON.stringify(detail)).not.toContain(join(engine.directory, "docker.sock"));
  });
});
