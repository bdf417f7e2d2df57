import fc from "fast-check";
import { expect, onTestFinished, test, vi } from "vitest";
import { ByteQueue } from "./byte-queue.ts";

test("bytes come out in their order, taken whole or read into memory of the reader's", () => {
  const step = fc.oneof(
    fc.uint8Array({ maxLength: 9000 }).map((bytes) => ({ append: Buffer.from(bytes) })),
    fc.integer({ min: 1, max: 9000 }).map((size) => ({ read: size })),
    fc.constant({ take: true }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const queue = new ByteQueue();
      let model = Buffer.alloc(0);
      for (const one of steps) {
        if ("append" in one) {
          queue.append(one.append);
          model = Buffer.concat([model, one.append]);
          one.append.fill(0);
          continue;
        }
        const target = Buffer.alloc("read" in one ? one.read : 0);
        const got = "read" in one ? target.subarray(0, queue.readInto(target)) : (queue.take() ?? Buffer.alloc(0));
        expect(got.equals(model.subarray(0, got.length))).toBe(true);
        if (model.length > 0) expect(got.length).toBeGreaterThan(0);
        model = model.subarray(got.length);
        expect(queue.empty).toBe(model.length === 0);
      }
    }),
  );
});

test("a window of single bytes takes the memory of a window", () => {
  const allocate = vi.spyOn(Buffer, "allocUnsafeSlow");
  onTestFinished(() => allocate.mockRestore());
  const queue = new ByteQueue();
  for (let sent = 0; sent < 256 * 1024; sent++) queue.append(Buffer.from("x"));
  const taken = allocate.mock.calls.reduce((sum, [size]) => sum + size, 0);
  expect(taken).toBeLessThanOrEqual(256 * 1024 + 4096);
  // What little is handed on doesn't hold a whole piece.
  queue.clear();
  queue.append(Buffer.from("x"));
  expect(queue.take()?.buffer.byteLength).not.toBe(4096);
});
