import { Client, type Sandbox } from "stacyvm";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  engineLacks,
  startEngine,
  type TestEngine,
} from "../../packages/server/src/providers/docker/docker-engine.testing.ts";
import { startServer } from "./server.ts";

// No packet leaves this machine: what is dialled here is refused before, and nobody answers for names.
const closed = "10.9.9.9";
const lacks = engineLacks();

const dial = (sandbox: Sandbox, address: string) => sandbox.exec(`nc -w 2 ${address} 80 </dev/null`, { mode: "shell" });

describe.each([
  { engineIs: "plain", remap: false },
  { engineIs: "remapped", remap: true },
])("the outbound network of sandboxes over a $engineIs Docker engine", ({ remap }) => {
  let engine: TestEngine;

  beforeAll(async () => {
    if (lacks === undefined) engine = await startEngine({ remap });
  });
  afterAll(async () => {
    await engine?.close();
  });

  it("is the gateway's, what old clients call bridge too, and has its policy again after a restart of the server", async (context) => {
    if (lacks !== undefined) context.skip(lacks);
    const config = {
      "providers.oci.enabled": "false",
      "providers.docker.enabled": "true",
      "providers.docker.socket": engine.socket,
      "providers.docker.network_mode": "bridge",
      "providers.default": "auto",
    };
    await using first = await startServer({ config });
    const made = await new Client({ baseUrl: first.url }).spawn({ network_mode: "bridge" });
    expect(made.info).toMatchObject({ network_mode: "bridge", network: { mode: "public" } });
    expect(await made.network.get()).toMatchObject({ level: "transparent", mode: "public" });
    expect((await dial(made, closed)).exit_code).not.toBe(0);
    const [denied] = await Array.fromAsync(made.network.log());
    expect(denied).toMatchObject({ address: closed, port: 80, decision: "denied", reason: "always_denied" });
    await made.network.set({ mode: "allowlist", allow: ["203.0.113.7:443"], deny: [] });
    await first.stop();

    await using second = await startServer({ config: { ...config, data_dir: first.dataDir } });
    const found = await new Client({ baseUrl: second.url }).get(made.id);
    expect(await found.network.get()).toMatchObject({ mode: "allowlist", level: "transparent" });
    expect((await dial(found, "192.0.2.1")).exit_code).not.toBe(0);
    const [next] = await Array.fromAsync(found.network.log());
    expect(next).toMatchObject({ address: "192.0.2.1", decision: "denied", reason: "not_allowed" });
    await found.destroy();
  });
});
