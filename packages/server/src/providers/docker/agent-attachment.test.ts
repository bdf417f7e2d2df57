import { Duplex } from "node:stream";
import fc from "fast-check";
import { expect, test } from "vitest";
import { withoutHeaders } from "./agent-attachment.ts";

const frame = (stream: number, content: Uint8Array): Buffer => {
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(content.length, 4);
  return Buffer.concat([header, content]);
};
/** Both ends of a connection in memory. */
const pair = () => {
  const written: Buffer[] = [];
  const connection = new Duplex({
    read() {},
    write(chunk: Buffer, _, done) {
      written.push(Buffer.from(chunk));
      done();
    },
  });
  return { connection, written };
};

test("the engine's frames come apart wherever they are cut, and only stdout is read", async () => {
  const frames = fc.array(
    fc.record({ stream: fc.constantFrom(0, 1, 2, 9), content: fc.uint8Array({ maxLength: 90 }) }),
  );
  const sizes = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(frames, sizes, async (sent, cuts) => {
      const { connection } = pair();
      const bytes = Buffer.concat(sent.map(({ stream, content }) => frame(stream, content)));
      const read = withoutHeaders(connection).toArray();
      for (let at = 0, turn = 0; at < bytes.length; turn++) {
        const size = cuts[turn % cuts.length] ?? 1;
        connection.push(bytes.subarray(at, at + size));
        at += size;
      }
      connection.push(null);
      const stdout = sent.filter(({ stream }) => stream === 1).map(({ content }) => content);
      expect(Buffer.concat(await read).equals(Buffer.concat(stdout))).toBe(true);
    }),
    { numRuns: 200 },
  );
});

test("what is written goes through as it is, and its end ends the connection", async () => {
  const { connection, written } = pair();
  const stream = withoutHeaders(connection);
  stream.cork();
  stream.write("one ");
  stream.write("two");
  stream.uncork();
  const closed = new Promise((resolve) => connection.once("close", resolve));
  stream.destroy();
  await closed;
  expect(Buffer.concat(written).toString()).toBe("one two");
});
