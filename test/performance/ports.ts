import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { Readable } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import { startProcess } from "./attached.ts";
import { megabytesPerSecond, rounded, timed } from "./figures.ts";
import { atLeast, atMost, type Item, type ItemOptions } from "./item.ts";
import { load } from "./load.ts";
import { agentBench, putBenchGuest } from "./native-programs.ts";
import { forgetPeak, residentBytes } from "./process-memory.ts";

const insidePort = 8000;
const connections = 50;
const defaultN = 5000;
const runs = 3;
const mebibyte = 1024 * 1024;
const bodyBytes = 1024 * mebibyte;

/** The app's answer to GET /, awaited while it starts. */
const answers = async (url: string): Promise<void> => {
  for (let attempt = 0; ; attempt++) {
    const answer = await fetch(url).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer?.status === 200) return;
    if (attempt === 100) throw new Error(`${url} doesn't answer`);
    await pause(50);
  }
};

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer().on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });

const zeros = (bytes: number): Readable => {
  const block = Buffer.alloc(mebibyte);
  return Readable.from(
    (function* () {
      for (let sent = 0; sent < bytes; sent += block.length) yield block;
    })(),
    { objectMode: false },
  );
};

/** Bodies of an app through the proxy, down and up; the app says how much came. */
const bodies = async ({ api, server }: ItemOptions, path: string, bytes: number) => {
  const watched = async (move: () => Promise<void>) => {
    forgetPeak(server.pid);
    const before = residentBytes(server.pid).now;
    const { ms } = await timed(move);
    const grown = residentBytes(server.pid).peak - before;
    return { mb_per_s: megabytesPerSecond(bytes, ms), server_grew_mb: rounded(grown / 1e6, 1) };
  };
  const down = await watched(async () => {
    let got = 0;
    const onChunk = (chunk: Buffer): void => {
      got += chunk.length;
    };
    const { status } = await api.request({ method: "GET", path: `${path}bytes?n=${bytes}`, onChunk });
    if (status !== 200 || got !== bytes) throw new Error(`${got} bytes came down with ${status}`);
  });
  const up = await watched(async () => {
    const { text } = await api.request({ method: "POST", path: `${path}bytes`, content: zeros(bytes) });
    if (text.trim() !== String(bytes)) throw new Error(`going up was answered with ${text}`);
  });
  return { down, up };
};

/** The same app behind the proxy, behind the agent alone, and on this machine; and bodies of 1 GiB. */
export const ports: Item = async (options) => {
  const { api, n = defaultN, server } = options;
  const id = await api.createSandbox({ vcpus: 2 });
  const program = await putBenchGuest(api, server.dataDir, id);
  const directPort = await freePort();
  const direct = `http://127.0.0.1:${directPort}`;
  const child = spawn(program.here, ["app", `127.0.0.1:${directPort}`], { stdio: "inherit" });
  const exited = new Promise((resolve) => child.once("close", resolve));
  try {
    await startProcess(api, id, { command: program.inside, args: ["app", `127.0.0.1:${insidePort}`], mode: "argv" });
    const path = `/api/v1/sandboxes/${id}/ports/${insidePort}/proxy/`;
    await Promise.all([answers(`${direct}/`), answers(`${server.url}${path}`)]);
    const through = (count: number, atOnce: number) =>
      load({ url: server.url, path, connections: atOnce, requests: count });
    const past = (count: number, atOnce: number) =>
      load({ url: direct, path: "/", connections: atOnce, requests: count });
    await through(2000, connections);
    await past(2000, connections);
    const one = { proxy: await through(n, 1), direct: await past(n, 1) };
    const many = [];
    for (let at = 0; at < runs; at++)
      many.push({ proxy: await through(n, connections), direct: await past(n, connections) });
    const agent = await agentBench(server.dataDir, id, { port: insidePort, n, burst: connections });

    await bodies(options, path, 64 * mebibyte);
    const moved = [];
    for (let at = 0; at < runs; at++) moved.push(await bodies(options, path, bodyBytes));
    const best = Math.max(...many.map(({ proxy }) => proxy.requests_per_s));
    const grew = Math.max(...moved.flatMap(({ down, up }) => [down.server_grew_mb, up.server_grew_mb]));
    const failed = [one, ...many].reduce((sum, { proxy }) => sum + proxy.failed, 0);
    return {
      figures: { one_connection: one, connections, at_50_connections: many, agent_alone: agent, bodies: moved },
      lines: [
        atLeast(`hello app at ${connections} connections (a preview's line)`, 3000, "/s", best),
        atMost("requests that failed", 0, "", failed),
        atMost("growth of the server's memory", 64, "MB", grew),
      ],
    };
  } finally {
    child.kill();
    await exited;
    await api.destroySandbox(id);
  }
};
