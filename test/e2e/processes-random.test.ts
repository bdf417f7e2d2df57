import { randomBytes } from "node:crypto";
import type { ProcessEvent } from "@stacyvm/contract";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { spawnSandbox, type TestSandbox } from "./api.ts";
import { startProcess, type TestProcess } from "./process-api.ts";
import { startServer, type TestServer } from "./server.ts";

let server: TestServer;
let sandbox: TestSandbox;
beforeAll(async () => {
  server = await startServer({ config: { "providers.mock.enabled": "true" } });
  sandbox = await spawnSandbox(server, { provider: "mock" });
});
afterAll(async () => {
  await sandbox[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

/** What one watcher has: its bytes by offset, and where it goes on. */
interface Watcher {
  readonly received: Buffer;
  next: number;
  lost: number;
}

const take = (watcher: Watcher, event: ProcessEvent): void => {
  if (event.type === "gap") {
    expect(event.offset).toBe(watcher.next);
    watcher.lost += (event.until ?? 0) - watcher.next;
    watcher.next = event.until ?? 0;
  }
  if (event.type !== "output") return;
  expect(event.offset).toBe(watcher.next);
  const bytes = Buffer.from(event.data ?? "", "base64");
  bytes.copy(watcher.received, watcher.next);
  watcher.next += bytes.length;
};

/** Follows from where the watcher is, and leaves in the middle once it has read so many chunks of the answer. */
const follow = async (process: TestProcess, watcher: Watcher, chunks: number): Promise<void> => {
  const leave = new AbortController();
  const url = `${process.url}/output?encoding=base64&follow=true&offset=${watcher.next}`;
  const answer = await fetch(url, { signal: leave.signal });
  const decoder = new TextDecoder();
  let rest = "";
  let read = 0;
  try {
    for await (const chunk of answer.body as AsyncIterable<Uint8Array>) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) take(watcher, JSON.parse(line) as ProcessEvent);
      read += 1;
      if (read === chunks) leave.abort();
    }
  } catch (error) {
    if (!leave.signal.aborted) throw error;
  }
};

const step = fc.oneof(
  fc.record({ kind: fc.constant("write" as const), bytes: fc.integer({ min: 1, max: 200_000 }) }),
  fc.record({ kind: fc.constant("follow" as const), watcher: fc.nat(2), chunks: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ kind: fc.constant("replay" as const), at: fc.double({ min: 0, max: 1, noNaN: true }) }),
  fc.record({ kind: fc.constant("pause" as const), turns: fc.integer({ min: 1, max: 20 }) }),
);

test("whatever is written, left, come back to and replayed, every watcher has the process's bytes or knows its gaps", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
      const one = await startProcess(sandbox, { command: "cat", mode: "argv", stdin: true });
      const total = steps.reduce(
        (sum, { kind, ...more }) => sum + (kind === "write" && "bytes" in more ? more.bytes : 0),
        0,
      );
      const written = randomBytes(total);
      let at = 0;
      const watchers = [0, 1, 2].map((): Watcher => ({ received: Buffer.alloc(total), next: 0, lost: 0 }));
      const following: Promise<void>[] = [];
      const busy = new Set<Watcher>();
      for (const each of steps) {
        if (each.kind === "write") {
          const piece = written.subarray(at, at + each.bytes);
          expect(await (await one.write(piece)).json()).toEqual({ written: piece.length });
          at += piece.length;
        } else if (each.kind === "follow") {
          const watcher = watchers[each.watcher];
          if (watcher === undefined || busy.has(watcher)) continue;
          busy.add(watcher);
          following.push(follow(one, watcher, each.chunks).finally(() => busy.delete(watcher)));
        } else if (each.kind === "replay") {
          const { first_offset: first, next_offset: next } = await one.get();
          const from = Math.floor(first + each.at * (next - first));
          const bytes = await one.bytes(from);
          // The ring may have moved on since it was asked where it begins.
          const missed = Math.max(0, (await one.get()).first_offset - from);
          expect(bytes.length).toBeGreaterThanOrEqual(next - from - missed);
          if (missed === 0) expect(bytes.equals(written.subarray(from, from + bytes.length))).toBe(true);
        } else {
          for (let turn = 0; turn < each.turns; turn += 1) await new Promise(setImmediate);
        }
      }
      await fetch(`${one.url}/stdin`, { method: "DELETE" });
      await Promise.all(following);
      await one.wait();
      for (const watcher of watchers) {
        await follow(one, watcher, Number.POSITIVE_INFINITY);
        expect(watcher.next).toBe(total);
        if (watcher.lost === 0) expect(watcher.received.equals(written)).toBe(true);
      }
      // What the ring holds is what was written last.
      const { first_offset: first } = await one.get();
      expect((await one.bytes(first)).equals(written.subarray(first))).toBe(true);
      if (total <= 500_000) expect(first).toBe(0);
    }),
    { numRuns: 30 },
  );
});
