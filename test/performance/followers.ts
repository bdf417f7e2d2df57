import { Readable } from "node:stream";
import type { ApiClient } from "./api-client.ts";
import { attach, startProcess } from "./attached.ts";
import { rounded, timed, timesOf } from "./figures.ts";
import { atLeast, atMost, type Item } from "./item.ts";

const processes = 100;
const defaultN = 1000;
const warmUps = 200;
const padding = "-".repeat(64);

/** Ten lines a second until a line of input comes: a shell that waits for it starts no program. */
const writer = (name: string) => ({
  command: `i=0; until read -t 0.1 _; do printf '%s %06d %s\\n' ${name} $i ${padding}; i=$((i+1)); done; echo end $i`,
  mode: "shell",
  stdin: true,
});

/** Compares output with what the writer writes, byte by byte. */
class ExpectedLines {
  readonly #name: string;
  #rest = "";
  lines = 0;
  complete = false;

  constructor(name: string) {
    this.#name = name;
  }

  take(bytes: Buffer): void {
    this.#rest += bytes.toString("latin1");
    for (let end = this.#rest.indexOf("\n"); end !== -1; end = this.#rest.indexOf("\n")) {
      const line = this.#rest.slice(0, end);
      this.#rest = this.#rest.slice(end + 1);
      if (this.complete) throw new Error(`${this.#name}: output after its end`);
      if (line === `end ${this.lines}`) this.complete = true;
      else if (line === `${this.#name} ${String(this.lines).padStart(6, "0")} ${padding}`) this.lines += 1;
      else throw new Error(`${this.#name}: line ${this.lines} is ${JSON.stringify(line)}`);
    }
  }

  get exact(): boolean {
    return this.complete && this.#rest === "";
  }
}

interface Follower {
  readonly path: string;
  readonly seen: ExpectedLines;
  /** Resolves when the server has ended the output. */
  readonly ended: Promise<unknown>;
}

/** Reads the output as lines of JSON, as a plain HTTP client does. */
const followLines = (api: ApiClient, path: string, seen: ExpectedLines): Promise<unknown> => {
  let rest = "";
  const onChunk = (chunk: Buffer): void => {
    const lines = (rest + chunk.toString("latin1")).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const event = JSON.parse(line) as { readonly type: string; readonly data?: string };
      if (event.type === "gap") throw new Error(`${path}: ${line}`);
      if (event.type === "output") seen.take(Buffer.from(event.data ?? "", "base64"));
    }
  };
  return api.request({ method: "GET", path: `${path}/output?follow=true&encoding=base64`, onChunk });
};

/** Many processes that write, each with a client that follows it, half of them by WebSocket; commands meanwhile. */
export const followers: Item = async ({ api, n = defaultN, server }) => {
  const id = await api.createSandbox({ vcpus: 2 });
  using stack = new DisposableStack();
  const following: Follower[] = [];
  const follow = async (name: string, bySocket: boolean): Promise<void> => {
    const seen = new ExpectedLines(name);
    const path = await startProcess(api, id, writer(name));
    if (!bySocket) {
      following.push({ path, seen, ended: followLines(api, path, seen) });
      return;
    }
    const onOutput = (bytes: Buffer): void => seen.take(bytes);
    const attached = stack.use(await attach({ serverUrl: server.url, path, onOutput }));
    following.push({ path, seen, ended: attached.ended });
  };
  const execs = async (count: number) => {
    const times: number[] = [];
    for (let at = 0; at < count; at++) times.push((await timed(() => api.run(id, "true"))).ms);
    return timesOf(times);
  };
  try {
    await execs(warmUps);
    const alone = await execs(n);
    for (let at = 0; at < processes; at++) await follow(`p${at}`, at % 2 === 0);
    const lines = () => following.reduce((sum, { seen }) => sum + seen.lines, 0);
    const before = lines();
    const { value: beside, ms } = await timed(() => execs(n));
    const lines_per_s = rounded(((lines() - before) / ms) * 1000, 0);
    for (const { path } of following) {
      const content = Readable.from([Buffer.from("\n")], { objectMode: false });
      await api.request({ method: "POST", path: `${path}/stdin`, content });
    }
    await Promise.all(following.map(({ ended }) => ended));
    const exact = following.filter(({ seen }) => seen.exact).length;
    return {
      figures: { processes, exec_alone: alone, exec_beside: beside, lines_per_s, lines: lines(), exact },
      lines: [
        atMost(`exec true beside ${processes} followers, p99`, 40, "ms", beside.p99_ms),
        atLeast("followers that got every byte", processes, "", exact),
      ],
    };
  } finally {
    await api.destroySandbox(id);
  }
};
