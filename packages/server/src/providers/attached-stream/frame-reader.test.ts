import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { BrokenStreamError, FrameReader } from "./frame-reader.ts";
import { acknowledgement, type FrameKind, frameBytesMax, frameHeader, frameKind, seedOf } from "./framing.ts";

const kinds = Object.values(frameKind);
const nonce = Buffer.from("a nonce so fresh");
const seed = seedOf(nonce);

const frames = fc.array(
  fc.record({
    kind: fc.constantFrom(...kinds),
    stream: fc.nat({ max: 0xff_ff_ff_ff }),
    payload: fc.oneof(
      fc.uint8Array({ maxLength: 100 }),
      fc.nat({ max: frameBytesMax }).map((length) => randomBytes(length)),
    ),
  }),
  { maxLength: 8 },
);
const encode = (all: readonly { kind: FrameKind; stream: number; payload: Uint8Array }[]): Buffer =>
  Buffer.concat(all.flatMap(({ kind, stream, payload }) => [frameHeader(seed, kind, stream, payload), payload]));

/** Feeds the bytes in pieces of the given sizes, again and again. */
const feed = (reader: FrameReader, bytes: Buffer, sizes: readonly number[]): void => {
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? bytes.length;
    // A copy, as each read of a socket has memory of its own; it is overwritten, as nothing may be held of it.
    const piece = Buffer.from(bytes.subarray(at, at + size));
    reader.push(piece);
    piece.fill(0xee);
    at += size;
  }
};
const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 200_000 })), {
  maxLength: 5,
});

test("frames are read whole behind whatever was another session's, wherever the bytes are cut", () => {
  fc.assert(
    fc.property(frames, fc.uint8Array({ maxLength: 3000 }), sizes, (sent, before, cuts) => {
      const read: { kind: FrameKind; stream: number; payload: Buffer }[] = [];
      let begun = 0;
      const reader = new FrameReader(
        () => begun++,
        (kind, stream, payload) => read.push({ kind, stream, payload: Buffer.from(payload) }),
      );
      reader.await(Buffer.from("an older nonce.."));
      reader.push(acknowledgement(Buffer.from("nobody's nonce..")));
      reader.await(nonce);
      feed(reader, Buffer.concat([before, acknowledgement(nonce), encode(sent)]), cuts);
      expect(begun).toBe(1);
      expect(read.length).toBe(sent.length);
      for (const [at, { kind, stream, payload }] of sent.entries()) {
        expect(read[at]).toMatchObject({ kind, stream });
        expect(read[at]?.payload.equals(payload)).toBe(true);
      }
    }),
    { numRuns: 300 },
  );
});

test("hostile bytes are frames or broken, and nothing is read behind what is broken", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 5000 }),
      frames,
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      sizes,
      (tail, sent, where, flip, cuts) => {
        const whole = Buffer.concat([encode(sent), tail]);
        // One byte of the frames is another than the agent meant.
        const damaged = encode(sent);
        if (damaged.length > 0) damaged[where % damaged.length] = (damaged[where % damaged.length] ?? 0) ^ flip;
        for (const bytes of [whole, Buffer.concat([damaged, tail])]) {
          let read = 0;
          const reader = new FrameReader(
            () => {},
            () => read++,
          );
          reader.await(nonce);
          reader.push(acknowledgement(nonce));
          try {
            feed(reader, bytes, cuts);
          } catch (error) {
            expect(error).toBeInstanceOf(BrokenStreamError);
          }
          if (bytes !== whole && damaged.length > 0) expect(read).toBeLessThan(sent.length);
        }
      },
    ),
    { numRuns: 300 },
  );
});

test("an answer to somebody else's hello says that another host has attached", () => {
  const reader = new FrameReader(
    () => {},
    () => {},
  );
  reader.await(nonce);
  reader.push(acknowledgement(nonce));
  expect(() => reader.push(acknowledgement(randomBytes(16)))).toThrow("another host has attached");
});
