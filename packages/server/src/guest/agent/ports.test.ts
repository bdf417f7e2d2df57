import { once } from "node:events";
import { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import type { AgentConnection } from "../guest.ts";
import { agentPorts } from "./ports.ts";

const accepted = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: stacyvm-dial\r\n\r\n";

/** Ports of an agent that answers a dial with the parts, all of which have come before anybody looks, and the program's end. */
const dialed = async (parts: readonly string[]) => {
  const written: Buffer[] = [];
  const connection = new Duplex({
    allowHalfOpen: false,
    read() {},
    write(bytes: Buffer, _encoding, done) {
      written.push(bytes);
      done();
    },
  });
  for (const part of parts) connection.push(part);
  connection.push(null);
  const dial = () => connection as unknown as AgentConnection;
  const ports = agentPorts({ guest: {} as never, dial, callTimeoutMs: 1_000 });
  return { written, opened: await ports.dial(4_000, new AbortController().signal) };
};

test.each([
  ["with its first words", [`${accepted}first`], "first"],
  ["after them", [accepted, "fi", "rst"], "first"],
  ["without a word", [accepted], ""],
])("a program whose end comes %s is heard whole, and may still be written to", async (_when, parts, words) => {
  const { opened, written } = await dialed(parts);
  // Whoever takes the connection over may do so later.
  await new Promise((resolve) => setImmediate(resolve));
  expect(await text(opened)).toBe(words);
  opened.end("more");
  await once(opened, "finish");
  expect(Buffer.concat(written).toString()).toMatch(/^GET \/dial\?port=4000 [\s\S]*\r\n\r\nmore$/);
});

test("an agent that ends amid its answer is said not to answer", async () => {
  await expect(dialed(["HTTP/1.1 101 Swit"])).rejects.toMatchObject({ reason: "guest_unreachable" });
});
