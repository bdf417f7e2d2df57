import { Duplex } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";
import { expect, onTestFinished, test, vi } from "vitest";
import type { AgentConnection } from "../../guest/guest.ts";
import { attachedDial } from "./attached-dial.ts";
import { FrameReader } from "./frame-reader.ts";
import {
  acknowledgement,
  type FrameKind,
  frameBytesMax,
  frameHeader,
  frameKind,
  headerSize,
  hello,
  seedOf,
  streamsMax,
  windowBytes,
} from "./framing.ts";

const key = Buffer.from("the sandbox's ke");
const helloSize = hello(key, key).length;

/** An agent that answers hellos and otherwise does what the test says, hostile things among them. */
const hostileAgent = () => {
  let seed = 0;
  let before = Buffer.alloc(0);
  let reader: FrameReader | undefined;
  const seen: { readonly kind: FrameKind; readonly stream: number; readonly payload: Buffer }[] = [];
  const attachment = new Duplex({
    read() {},
    write(chunk: Buffer, _, done) {
      if (reader === undefined) {
        before = Buffer.concat([before, chunk]);
        if (before.length >= helloSize) {
          const nonce = before.subarray(helloSize - 20, helloSize - 4);
          seed = seedOf(nonce);
          reader = new FrameReader(
            () => {},
            (kind, stream, payload) => seen.push({ kind, stream, payload: Buffer.from(payload) }),
          );
          reader.await(nonce);
          reader.push(acknowledgement(nonce));
          attachment.push(acknowledgement(nonce));
        }
      } else reader.push(chunk);
      done();
    },
  });
  const send = (kind: FrameKind, stream: number, payload?: Uint8Array): void => {
    attachment.push(Buffer.concat([frameHeader(seed, kind, stream, payload), payload ?? Buffer.alloc(0)]));
  };
  const attached = attachedDial({ attach: async () => attachment, key });
  onTestFinished(attached.close);
  // The end of a test ends them too, which is for nobody to see.
  const dial = (): AgentConnection => attached.dial().on("error", () => {});
  const count = (kind: FrameKind): number => seen.filter((frame) => frame.kind === kind).length;
  return { attachment, dial, send, seen, count };
};
const settled = async (): Promise<void> => {
  for (let round = 0; round < 20; round++) await turn();
};
const lost = { reason: "guest_unreachable", code: "ECONNRESET" };
const failure = (socket: Duplex): Promise<Error> => new Promise((resolve) => socket.once("error", resolve));
const credit = (bytes: number): Buffer => {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(bytes);
  return payload;
};

test.each<[string, (send: ReturnType<typeof hostileAgent>["send"], raw: (bytes: Buffer) => void) => void]>([
  ["a stream that was never opened", (send) => send(frameKind.data, 2, Buffer.from("x"))],
  ["no stream", (send) => send(frameKind.end, 0)],
  ["a stream of its own", (send) => send(frameKind.open, 2)],
  ["a window that is none", (send) => send(frameKind.window, 1, Buffer.alloc(3))],
  ["a window above the largest", (send) => send(frameKind.window, 1, credit(1))],
  ["a question", (send) => send(frameKind.ping, 1)],
  [
    "data behind the end",
    (send) => {
      send(frameKind.end, 1);
      send(frameKind.data, 1, Buffer.from("x"));
    },
  ],
  [
    "more than the window",
    (send) => {
      for (let sent = 0; sent <= windowBytes; sent += frameBytesMax)
        send(frameKind.data, 1, Buffer.alloc(frameBytesMax));
    },
  ],
  ["what is no frame", (_, raw) => raw(Buffer.alloc(headerSize))],
  ["a frame above the largest", (_, raw) => raw(frameHeader(0, frameKind.data, 1, Buffer.alloc(frameBytesMax + 1)))],
])("an agent that sends %s loses the stream, and every connection says so", async (_, misbehave) => {
  const { attachment, dial, send } = hostileAgent();
  const [first, second] = [dial(), dial()];
  const failures = [failure(first), failure(second)];
  // The first dial alone is named by number 1; nothing reads what comes for it.
  await settled();
  second.destroy();
  await settled();
  const third = dial();
  const thirdFailure = failure(third);
  await settled();
  misbehave(
    (kind, stream, payload) => send(kind, stream === 2 ? 99 : stream, payload),
    (bytes) => attachment.push(bytes),
  );
  await settled();
  // At once, and not because it fell silent.
  expect(attachment.destroyed).toBe(true);
  expect(await failures[0]).toMatchObject(lost);
  expect(await thirdFailure).toMatchObject(lost);
});

test("a flood of single bytes for readers that stall holds one piece in each and the rest in a window's memory", async () => {
  const { dial, send } = hostileAgent();
  const sockets = Array.from({ length: 5 }, () => dial());
  await settled();
  const allocate = vi.spyOn(Buffer, "allocUnsafeSlow");
  onTestFinished(() => allocate.mockRestore());
  const [byte, each] = [Buffer.from("x"), 20_000];
  for (let id = 1; id <= sockets.length; id++) {
    for (let sent = 0; sent < each; sent++) send(frameKind.data, id, byte);
    await settled();
  }
  const taken = allocate.mock.calls.reduce((sum, [size]) => sum + size, 0);
  expect(taken).toBeGreaterThan(sockets.length * each * 0.9);
  expect(taken).toBeLessThan(sockets.length * (each + 2 * 4096) + frameBytesMax);
  for (const socket of sockets) expect(socket.readableLength).toBe(1);
});

test("one connection too many is refused, and the others live", async () => {
  const { dial, count } = hostileAgent();
  const sockets = Array.from({ length: streamsMax }, () => dial());
  await settled();
  const over = dial();
  expect(await failure(over)).toMatchObject({ reason: "sandbox_limit" });
  sockets[0]?.destroy();
  await settled();
  const next = dial();
  await settled();
  expect(next.destroyed).toBe(false);
  expect(count(frameKind.open)).toBe(streamsMax + 1);
});

test("an agent that grants nothing gets no more than its window, and one that grants gets the rest", async () => {
  const { dial, send, seen } = hostileAgent();
  const socket = dial();
  const bytes = Buffer.alloc(windowBytes + 1000, "x");
  socket.write(bytes);
  const sent = (): number =>
    seen.filter(({ kind }) => kind === frameKind.data).reduce((sum, { payload }) => sum + payload.length, 0);
  await settled();
  expect(sent()).toBe(windowBytes);
  send(frameKind.window, 1, credit(400));
  await settled();
  expect(sent()).toBe(windowBytes + 400);
  send(frameKind.window, 1, credit(windowBytes));
  await settled();
  expect(sent()).toBe(bytes.length);
});

test("what the agent said before it closed is read, and only then is what it never read a broken pipe", async () => {
  const { dial, send } = hostileAgent();
  const socket = dial();
  socket.write(Buffer.alloc(windowBytes + 1));
  await settled();
  send(frameKind.data, 1, Buffer.from("too much"));
  send(frameKind.close, 1);
  await settled();
  const failed = failure(socket);
  const parts: Buffer[] = [];
  socket.on("data", (part: Buffer) => parts.push(part));
  expect(await failed).toMatchObject({ code: "EPIPE" });
  expect(Buffer.concat(parts).toString()).toBe("too much");
});

test("an agent that falls silent while somebody waits is lost, and one that nobody waits for is left alone", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "setTimeout", "clearInterval", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  const { attachment, dial, send, count } = hostileAgent();
  const socket = dial();
  const failed = failure(socket);
  await settled();
  vi.advanceTimersByTime(15_000);
  await settled();
  expect(count(frameKind.ping)).toBe(1);
  send(frameKind.pong, 0);
  await settled();
  vi.advanceTimersByTime(15_000);
  await settled();
  expect(socket.destroyed).toBe(false);
  vi.advanceTimersByTime(15_000);
  expect(await failed).toMatchObject(lost);
  const other = hostileAgent();
  const brief = other.dial();
  await settled();
  brief.destroy();
  vi.advanceTimersByTime(60_000);
  await settled();
  expect(other.attachment.destroyed).toBe(false);
  expect(attachment.destroyed).toBe(true);
});

test("a connection without bytes tells so after its time, and lives", async () => {
  const { dial, send } = hostileAgent();
  const socket = dial();
  await settled();
  const idle = new Promise((resolve) => socket.once("timeout", resolve));
  socket.setTimeout(5);
  await idle;
  socket.setTimeout(0);
  send(frameKind.data, 1, Buffer.from("alive"));
  expect(String(await new Promise((resolve) => socket.once("data", resolve)))).toBe("alive");
});
