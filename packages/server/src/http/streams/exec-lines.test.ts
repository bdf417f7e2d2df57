import fc from "fast-check";
import { expect, test } from "vitest";
import type { ExecEvent } from "../../guest/guest.ts";
import { execLines, execStdout } from "./exec-lines.ts";

const exit: ExecEvent = {
  type: "exit",
  exitCode: 0,
  signal: 0,
  timedOut: false,
  truncated: false,
  background: false,
  durationMs: 1,
};

async function* eventsOf(chunks: readonly Uint8Array[], last: ExecEvent = exit): AsyncGenerator<ExecEvent> {
  yield { type: "start", processId: "p", pid: 2 };
  for (const data of chunks) yield { type: "output", stream: "stdout", data };
  yield last;
}

const read = async (events: AsyncIterable<ExecEvent>) =>
  (await Array.fromAsync(execLines(events, "sb-1"))).map((line) => {
    expect(line.endsWith("\n") && !line.slice(0, -1).includes("\n")).toBe(true);
    return JSON.parse(line) as { stream: string; data: string };
  });

test("text comes out as it was written, wherever its characters are cut", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.string({ unit: "binary", maxLength: 60 }),
      fc.integer({ min: 1, max: 5 }),
      async (text, size) => {
        const bytes = Buffer.from(text.toWellFormed());
        const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
          bytes.subarray(i * size, (i + 1) * size),
        );
        const lines = await read(eventsOf(chunks));
        expect(lines.map(({ data }) => data).join("")).toBe(text.toWellFormed());
      },
    ),
  );
});

test("a byte that is no UTF-8 becomes one U+FFFD and its neighbours in other chunks stay whole", async () => {
  const chunks = [Buffer.from([0x61, 0xff]), Buffer.from([0xe2, 0x82]), Buffer.from([0xac, 0x62])];
  const lines = await read(eventsOf(chunks));
  expect(lines.map(({ data }) => data).join("")).toBe("a\ufffd€b");
});

test("the last line is the exit; a deadline is told on stderr first, as old clients read it", async () => {
  const lines = await read(eventsOf([], { ...exit, exitCode: 137, timedOut: true } as ExecEvent));
  expect(lines).toEqual([
    { stream: "stderr", data: "exec timeout: sb-1" },
    { stream: "exit", data: "", exit_code: 137, timed_out: true },
  ]);
});

test("the raw view is standard output to the byte, and the exit is known when it ends", async () => {
  let code = -1;
  const bytes = Buffer.from([0, 255, 254, 10]);
  const events = eventsOf([bytes], { ...exit, exitCode: 7 } as ExecEvent);
  const parts = await Array.fromAsync(
    execStdout(events, ({ exitCode }) => {
      code = exitCode;
    }),
  );
  expect(Buffer.concat(parts)).toEqual(bytes);
  expect(code).toBe(7);
});

test("output that was read at once is cut into lines of at most 64 KiB, and none of its characters suffers", async () => {
  const text = `a${"€".repeat(70_000)}`;
  const lines = await read(eventsOf([Buffer.from(text)]));
  expect(lines.map(({ data }) => data).join("")).toBe(text);
  expect(lines.every(({ data }) => Buffer.byteLength(data) <= 64 * 1024 + 2)).toBe(true);
});

test("a line holds 65536 bytes of output, and what is more stands in the next", async () => {
  const lengths = async (bytes: number) =>
    (await read(eventsOf([Buffer.alloc(bytes, "x")]))).slice(0, -1).map(({ data }) => data.length);
  expect(await lengths(65_536)).toEqual([65_536]);
  expect(await lengths(65_537)).toEqual([65_536, 1]);
});
