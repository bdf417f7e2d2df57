import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { Guest } from "../guest.ts";
import { connectGuest } from "./connect-guest.ts";
import { failureOf } from "./files.ts";

// The numbers are written out: a bound that somebody raises has to be raised here too.
const never = () => new AbortController().signal;

/** A document that is that long. */
const padded = (document: object, length: number): string => {
  const text = JSON.stringify({ ...document, pad: "" });
  return text.replace(/""}$/, `"${"x".repeat(length - text.length)}"}`);
};

/** A guest behind an agent that answers everything with one document of a length. */
const answering = async (document: object, length: number): Promise<Guest> => {
  const directory = await mkdtemp(join(tmpdir(), "stacyvm-answer-"));
  const path = join(directory, "socket");
  const server = createServer({ requireHostHeader: false }, (request, response) => {
    request.resume();
    request.once("end", () => response.end(padded(document, length)));
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const guest = connectGuest({ label: "answering", dial: (onread) => connect({ path, onread }) });
  onTestFinished(async () => {
    await guest[Symbol.asyncDispose]();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await rm(directory, { recursive: true });
  });
  return guest;
};

test("an agent's answer about an upload may have 16384 bytes, not one more", async () => {
  const ask = async (length: number) =>
    (await answering({ offset: 3, expires_at_ms: 5 }, length)).uploads.get("up-1", never());
  expect(await ask(16_384)).toMatchObject({ offset: 3 });
  await expect(ask(16_385)).rejects.toMatchObject({ reason: "guest_protocol" });
});

test("an agent's answer about a folder may have 4096 bytes, not one more", async () => {
  const ask = async (length: number) =>
    (await answering({ created: true }, length)).folders.make("/a", { parents: false }, never());
  expect(await ask(4096)).toBe(true);
  await expect(ask(4097)).rejects.toMatchObject({ reason: "guest_protocol" });
});

test("of an agent's refusal 16384 bytes are read, not one more", async () => {
  async function* parts(length: number) {
    const body = Buffer.from(padded({ message: "in its words" }, length));
    for (let at = 0; at < body.length; at += 1024) yield body.subarray(at, at + 1024);
  }
  const told = async (length: number) =>
    (await failureOf(403, parts(length), "/a", { 403: "file_permission_denied" })).message;
  expect(await told(16_384)).toBe("in its words");
  expect(await told(16_385)).not.toBe("in its words");
});
