import fc from "fast-check";
import { expect, test } from "vitest";
import { agentMessageMaxBytes, type Envelope, encodeEnvelope, readEnvelopes } from "./envelope.ts";

async function* chunked(bytes: Buffer, cuts: readonly number[]): AsyncGenerator<Buffer> {
  let at = 0;
  for (const cut of [...cuts, bytes.length].map((each) => each % (bytes.length + 1)).sort((a, b) => a - b)) {
    if (cut > at) yield bytes.subarray(at, cut);
    at = Math.max(at, cut);
  }
}

const all = async (chunks: AsyncIterable<Buffer>): Promise<Envelope[]> => await Array.fromAsync(readEnvelopes(chunks));

test("messages come out as they went in, wherever the stream is cut", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 }),
      fc.array(fc.nat(), { maxLength: 12 }),
      async (payloads, cuts) => {
        const bytes = Buffer.concat(payloads.map((payload) => encodeEnvelope(payload)));
        const read = await all(chunked(bytes, cuts));
        expect(read.map(({ payload }) => [...payload])).toEqual(payloads.map((payload) => [...payload]));
        expect(read.every(({ end }) => !end)).toBe(true);
      },
    ),
  );
});

test("a message above the bound, a compressed one, and a stream that ends inside one are the agent's fault", async () => {
  const header = (flags: number, length: number) => {
    const bytes = Buffer.alloc(5);
    bytes[0] = flags;
    bytes.writeUInt32BE(length, 1);
    return bytes;
  };
  const fault = { reason: "guest_protocol" };
  await expect(all(chunked(header(0, agentMessageMaxBytes + 1), []))).rejects.toMatchObject(fault);
  await expect(all(chunked(header(1, 0), []))).rejects.toMatchObject(fault);
  await expect(all(chunked(Buffer.concat([header(0, 10), Buffer.alloc(9)]), []))).rejects.toMatchObject(fault);
  await expect(all(chunked(Buffer.alloc(3), []))).rejects.toMatchObject(fault);
  expect(await all(chunked(header(0, 0), []))).toHaveLength(1);
});

test("any bytes at all either are messages or the agent's fault, never another failure", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 64 }), fc.array(fc.nat(), { maxLength: 4 }), async (bytes, cuts) => {
      const outcome = await all(chunked(Buffer.from(bytes), cuts)).catch((error: unknown) => error);
      if (!Array.isArray(outcome)) expect(outcome).toMatchObject({ reason: "guest_protocol" });
    }),
  );
});
