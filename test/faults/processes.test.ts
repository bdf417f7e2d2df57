import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import type { ProcessEvent } from "@stacyvm/contract";
import { Client } from "stacyvm";
import { expect, test, vi } from "vitest";
import { joined, processAt, startProcess } from "../e2e/process-api.ts";
import { sandboxesOf } from "./api.ts";
import { makeFaultHost } from "./server-process.ts";

test.runIf(process.getuid?.() === 0).each(["oci", "mock"])(
  "after kill -9 of the server the same id attaches to the same process on %s, and no byte is lost",
  async (provider) => {
    await using host = await makeFaultHost({ "providers.default": provider });
    let server = await host.start();
    const { id } = await sandboxesOf(server.url).spawn(provider);
    const at = () => ({ url: `${server.url}/api/v1/sandboxes/${id}` });
    const one = await startProcess(at(), { command: "cat", mode: "argv", stdin: true, tag: "kept" });
    const terminal = await startProcess(at(), { command: "read x; echo got $x", pty: { cols: 80, rows: 24 } });
    const before = randomBytes(100_000);
    await one.write(before);
    const followed = await fetch(`${one.url}/output?follow=true&encoding=base64`);
    const seen: ProcessEvent[] = [];
    const watching = (async () => {
      let rest = "";
      for await (const chunk of followed.body as AsyncIterable<Uint8Array>) {
        const lines = (rest + Buffer.from(chunk).toString()).split("\n");
        rest = lines.pop() ?? "";
        seen.push(...lines.map((line) => JSON.parse(line) as ProcessEvent));
      }
    })().then(
      () => "ended",
      () => "cut",
    );
    await vi.waitFor(() => expect(seen.some(({ type }) => type === "output")).toBe(true), { timeout: 10_000 });
    server.signal("SIGKILL");
    await server.ended;
    expect(await watching).toBe("cut");

    server = await host.start();
    const again = processAt(at().url, one.started);
    expect(await again.get()).toMatchObject({ id: one.id, pid: one.started.pid, state: "running", tag: "kept" });
    const after = randomBytes(100_000);
    expect((await again.write(after)).status).toBe(200);
    await fetch(`${again.url}/stdin`, { method: "DELETE" });
    expect((await again.wait()).exit).toMatchObject({ exit_code: 0 });
    const have = Buffer.from(joined(seen), "latin1");
    const whole = Buffer.concat([have, await again.bytes(have.length)]);
    expect(whole.equals(Buffer.concat([before, after]))).toBe(true);

    const sameTerminal = processAt(at().url, terminal.started);
    await sameTerminal.write("it\n");
    await sameTerminal.wait();
    expect((await sameTerminal.bytes()).toString()).toContain("got it\r\n");
    await sandboxesOf(server.url).destroy(id);
    server.signal("SIGTERM");
    expect(await server.ended).toBe("0");
  },
);

/** A port that nobody listens at now, for a server that comes back where it was. */
const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
};

test.runIf(process.getuid?.() === 0)(
  "after kill -9 of the server the client's loop goes on by itself, and no byte is lost or comes twice",
  async () => {
    await using host = await makeFaultHost({ "providers.default": "mock", "server.port": String(await freePort()) });
    let server = await host.start();
    const { id } = await sandboxesOf(server.url).spawn("mock");
    const command = 'i=0; while test $i -lt 200; do echo "line $i"; i=$((i + 1)); sleep 0.02; done';
    const one = await (await new Client(server.url).get(id)).processes.start(command);
    const types: string[] = [];
    let text = "";
    const loop = (async () => {
      for await (const event of one.output()) {
        types.push(event.type);
        if (event.type === "output") text += Buffer.from(event.data).toString();
      }
    })();
    await vi.waitFor(() => expect(text).toContain("line 20\n"), { timeout: 10_000 });
    server.signal("SIGKILL");
    await server.ended;
    const before = text.length;
    server = await host.start();
    await loop;
    expect(text).toBe(Array.from({ length: 200 }, (_, i) => `line ${i}\n`).join(""));
    expect(before).toBeLessThan(text.length);
    expect(types.filter((type) => type !== "output")).toEqual(["live", "exit"]);
    await sandboxesOf(server.url).destroy(id);
    server.signal("SIGTERM");
    expect(await server.ended).toBe("0");
  },
);
