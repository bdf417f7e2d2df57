import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, test } from "vitest";
import { ExecEventSchema, Stream } from "../wire/stacyvm/guest/v1/guest_pb.js";
import { agentMessageMaxBytes, encodeEnvelope } from "./envelope.ts";
import { readExecEvents } from "./exec-reader.ts";

const start = { case: "start", value: { pid: 7, processId: "p" } } as const;
const exit = { case: "exit", value: { exitCode: 3 } } as const;
const message = (event: Parameters<typeof create<typeof ExecEventSchema>>[1]) =>
  encodeEnvelope(toBinary(ExecEventSchema, create(ExecEventSchema, event)));
const outputOf = (stream: Stream, data: Uint8Array) =>
  message({ event: { case: "data", value: { stream, data, offset: 300n } } });
const end = (): Buffer => {
  const bytes = encodeEnvelope(Buffer.from("{}"));
  bytes[0] = 2;
  return bytes;
};

/** The bytes cut at these places, each part in memory that the next part overwrites. */
async function* reused(bytes: Buffer, places: readonly number[]): AsyncGenerator<Buffer> {
  const memory = Buffer.alloc(bytes.length);
  let at = 0;
  for (const place of [...places.map((each) => each % (bytes.length + 1)), bytes.length].sort((a, b) => a - b)) {
    const count = bytes.copy(memory, 0, at, place);
    if (count > 0) yield memory.subarray(0, count);
    memory.fill(0xee);
    at = place;
  }
}

/** Events with their data copied, neighbours of one stream joined. */
const read = async (bytes: Buffer, places: readonly number[] = []) => {
  const events: unknown[] = [];
  const output: { stream: string; data: Buffer }[] = [];
  for await (const event of readExecEvents(reused(bytes, places))) {
    if (event.type !== "output") {
      events.push(event.type === "end" ? "end" : event);
      continue;
    }
    const last = output.at(-1);
    if (last?.stream === event.stream) last.data = Buffer.concat([last.data, event.data]);
    else output.push({ stream: event.stream, data: Buffer.from(event.data) });
  }
  return { events, output };
};

test("output comes out as it went in, in its order and whole, wherever the bytes are cut", async () => {
  const piece = fc.record({
    stream: fc.constantFrom([Stream.STDOUT, "stdout"] as const, [Stream.STDERR, "stderr"] as const),
    data: fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.uint8Array({ minLength: 480, maxLength: 2000 })),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(piece, { maxLength: 8 }),
      fc.array(fc.nat(), { maxLength: 12 }),
      async (pieces, places) => {
        const messages = pieces.map(({ stream, data }) => outputOf(stream[0], data));
        const bytes = Buffer.concat([message({ event: start }), ...messages, message({ event: exit }), end()]);
        const { events, output } = await read(bytes, places);
        const expected: { stream: string; data: Buffer }[] = [];
        for (const { stream, data } of pieces) {
          const last = expected.at(-1);
          if (last?.stream === stream[1]) last.data = Buffer.concat([last.data, data]);
          else expected.push({ stream: stream[1], data: Buffer.from(data) });
        }
        expect(output).toEqual(expected);
        expect(events).toMatchObject([{ type: "start", pid: 7 }, { type: "exit", exitCode: 3 }, "end"]);
      },
    ),
  );
});

test("output that was read at once is one event, and none waits for what has not been read", async () => {
  const data = Buffer.alloc(1000, "x");
  const bytes = Buffer.concat([outputOf(Stream.STDOUT, data), outputOf(Stream.STDOUT, data)]);
  const sizes = async (places: readonly number[]) => {
    const found: number[] = [];
    for await (const event of readExecEvents(reused(bytes, places))) {
      if (event.type === "output") found.push(event.data.length);
    }
    return found;
  };
  expect(await sizes([])).toEqual([2000]);
  const headBytes = bytes.length / 2 - data.length - 3;
  expect(await sizes([headBytes + 10])).toEqual([10, 1990]);
});

test("a long message that is no plain output is decoded whole", async () => {
  const reversed = Buffer.from([0x12, ...Array(600).fill(0)]);
  // Bytes before their stream: valid, though no agent writes it so.
  const inner = Buffer.concat([Buffer.from([0x12, 0xbc, 0x04]), Buffer.alloc(572, "y"), Buffer.from([0x08, 2])]);
  const outer = Buffer.concat([Buffer.from([0x12, (inner.length & 0x7f) | 0x80, inner.length >> 7]), inner]);
  const { output } = await read(encodeEnvelope(outer), [100, 300]);
  expect(output).toEqual([{ stream: "stderr", data: Buffer.alloc(572, "y") }]);
  await expect(read(encodeEnvelope(reversed))).rejects.toMatchObject({ reason: "guest_protocol" });
});

test("a message above the bound, a compressed one, one cut short and one behind the end are the agent's fault", async () => {
  const header = (flags: number, length: number) => {
    const bytes = Buffer.alloc(5);
    bytes[0] = flags;
    bytes.writeUInt32BE(length, 1);
    return bytes;
  };
  const long = outputOf(Stream.STDOUT, Buffer.alloc(1000));
  for (const bytes of [
    header(0, agentMessageMaxBytes + 1),
    header(1, 0),
    Buffer.concat([header(0, 10), Buffer.alloc(9)]),
    Buffer.alloc(3),
    long.subarray(0, 10),
    long.subarray(0, 500),
    long.subarray(0, -1),
    Buffer.concat([end(), message({ event: exit })]),
    outputOf(9 as Stream, Buffer.alloc(1000)),
  ]) {
    await expect(read(bytes)).rejects.toMatchObject({ reason: "guest_protocol" });
  }
});

test("any bytes at all either are events or the agent's fault, never another failure", async () => {
  const mutated = fc
    .tuple(fc.uint8Array({ minLength: 500, maxLength: 600 }), fc.nat(14), fc.nat(255))
    .map(([data, at, value]) => {
      const bytes = outputOf(Stream.STDOUT, data);
      bytes[at] = value;
      return bytes;
    });
  const any = fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes));
  await fc.assert(
    fc.asyncProperty(fc.oneof(any, mutated), fc.array(fc.nat(), { maxLength: 4 }), async (bytes, places) => {
      const outcome = await read(bytes, places).catch((error: unknown) => error);
      if (outcome instanceof Error) expect(outcome).toMatchObject({ reason: "guest_protocol" });
    }),
  );
});
