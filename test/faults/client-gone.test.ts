import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import WebSocket from "ws";
import { type OwnSnapshot, ownSnapshot, settledLeftOver } from "../leaks/snapshot.ts";
import { sandboxesOf } from "./api.ts";
import { type FaultHost, makeFaultHost, type ServerProcess } from "./server-process.ts";

const soon = { timeout: 10_000, interval: 20 };

describe.runIf(process.getuid?.() === 0).each(["oci", "mock"])(
  "a client that goes away, sandboxes by %s",
  (provider) => {
    let host: FaultHost;
    let server: ServerProcess;
    let sandboxes: ReturnType<typeof sandboxesOf>;
    let id: string;
    let settled: OwnSnapshot;
    const scope = () => ({ dataDir: host.dataDir, servers: [server.pid] });
    const at = (path: string) => `${server.url}/api/v1/sandboxes/${id}${path}`;

    /** Processes inside whose arguments hold the text, as ps there lists them. */
    const running = async (text: string): Promise<readonly string[]> => {
      const all = await sandboxes.sh(id, "for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $f; echo; done 2>/dev/null");
      return all.split("\n").filter((line) => line.startsWith(`sleep ${text}`));
    };

    beforeAll(async () => {
      host = await makeFaultHost({ "providers.default": provider });
      server = await host.start();
      sandboxes = sandboxesOf(server.url);
      id = (await sandboxes.spawn(provider)).id;
      settled = await ownSnapshot(scope());
    });

    afterAll(async () => {
      await host[Symbol.asyncDispose]();
    });

    it("during a spawn leaves a whole sandbox or none", async () => {
      let undone = 0;
      for (let round = 0; round < 10; round++) {
        const controller = new AbortController();
        const doomed = sandboxes.spawn(provider, { signal: controller.signal }).catch((error: Error) => error);
        await vi.waitFor(async () => expect(await sandboxes.list()).toHaveLength(2), { timeout: 10_000, interval: 1 });
        controller.abort(new Error("left"));
        await doomed;
        await vi.waitFor(
          async () => expect((await sandboxes.list()).filter(({ state }) => state !== "running")).toEqual([]),
          soon,
        );
        const others = (await sandboxes.list()).filter((row) => row.id !== id);
        if (others.length === 0) undone += 1;
        for (const other of others) {
          expect(await sandboxes.sh(other.id, "echo whole")).toBe("whole\n");
          await sandboxes.destroy(other.id);
        }
        expect(await settledLeftOver(settled, scope(), soon.timeout)).toEqual([]);
      }
      expect(undone).toBeGreaterThan(0);
    });

    const until = (text: string) => `trap '' TERM HUP PIPE; sleep ${text} & echo started; wait`;

    it.each([
      ["a buffered exec", {}, "application/json"],
      ["an exec as lines", { stream: true }, "application/json"],
      ["an exec as bytes", {}, "application/octet-stream"],
    ])("during %s ends its whole tree", async (_, options, accept) => {
      const mark = `3600.${randomUUID().replace(/\D/g, "")}`;
      const controller = new AbortController();
      const asked = fetch(at("/exec"), {
        method: "POST",
        headers: { Accept: accept },
        body: JSON.stringify({ command: until(mark), ...options }),
        signal: controller.signal,
      })
        .then((answer) => answer.text())
        .catch((error: Error) => error);
      await vi.waitFor(async () => expect(await running(mark)).toHaveLength(1), soon);
      controller.abort(new Error("left"));
      await asked;
      await vi.waitFor(async () => expect(await running(mark)).toEqual([]), soon);
    });

    it("during a WebSocket ends its whole tree", async () => {
      const mark = `3600.${randomUUID().replace(/\D/g, "")}`;
      const socket = new WebSocket(at("/exec/ws").replace("http", "ws"));
      await once(socket, "open");
      socket.send(JSON.stringify({ type: "start", command: until(mark) }));
      await vi.waitFor(async () => expect(await running(mark)).toHaveLength(1), soon);
      socket.terminate();
      await vi.waitFor(async () => expect(await running(mark)).toEqual([]), soon);
    });

    it("during an upload leaves the old content and no partial file", async () => {
      await sandboxes.sh(id, "mkdir upload && printf old > upload/file");
      const upload = request(at("/files?path=upload/file"), {
        method: "PUT",
        headers: { "Content-Length": 1_000_000 },
      });
      const failed = once(upload, "error");
      upload.write(Buffer.alloc(500_000, "n"));
      // The temporary file shows that the bytes have begun to arrive.
      await vi.waitFor(async () => expect(await sandboxes.sh(id, "ls -A upload | wc -l")).toBe("2\n"), soon);
      upload.destroy(new Error("left"));
      await failed;
      await vi.waitFor(async () => expect(await sandboxes.sh(id, "ls -A upload")).toBe("file\n"), soon);
      expect(await sandboxes.sh(id, "cat upload/file")).toBe("old");
    });
  },
);
