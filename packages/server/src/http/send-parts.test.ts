import { once } from "node:events";
import http from "node:http";
import { setImmediate } from "node:timers/promises";
import { defineOperation, StacyError } from "@stacyvm/contract";
import { expect, onTestFinished, test } from "vitest";
import { collectLog, listen, testApp } from "./app.testing.ts";

const readParts = defineOperation({
  permission: "sandbox:read",
  auditClass: "none",
  errors: ["sandbox_not_found"],
  stream: "none",
  id: "parts.read",
  method: "GET",
  path: "/api/v1/parts",
  summary: "Read",
  answers: { 200: { "application/octet-stream": "bytes" } },
});

/** Asks an application that answers with these parts. */
const asked = async (stream: AsyncIterable<Uint8Array | string>, trailers?: Record<string, () => string>) => {
  const { lines, log } = collectLog();
  const answer = async () => ({ status: 200, contentType: "application/octet-stream", stream, trailers });
  const app = testApp({ operations: [readParts], handlers: { "parts.read": answer }, log });
  const port = await listen(app);
  onTestFinished(() => app.close());
  const request = http.get({ port, host: "127.0.0.1", path: readParts.path });
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  return { response, lines };
};

const body = async (response: http.IncomingMessage): Promise<Buffer> => Buffer.concat(await Array.fromAsync(response));

test("a part's memory can be used again once the next part is asked for, also for a client that reads slowly", async () => {
  const memory = Buffer.alloc(256 * 1024);
  let sent = 0;
  const { response, lines } = await asked(
    (async function* () {
      for (; sent < 100; sent++) yield memory.fill(sent);
    })(),
  );
  // The client reads nothing until no part has been taken for a while: the buffers between the two are full.
  for (let before = -1, still = 0; still < 200; still = before === sent ? still + 1 : 0) {
    before = sent;
    await setImmediate();
  }
  expect(sent).toBeLessThan(99);
  const received = await body(response);
  expect(received.length).toBe(100 * memory.length);
  for (let part = 0; part < 100; part++) {
    expect(received.subarray(part * memory.length, (part + 1) * memory.length).equals(memory.fill(part))).toBe(true);
  }
  await expect
    .poll(() => lines.flatMap(({ msg, size }) => (msg === "request" ? [size] : [])))
    .toEqual([received.length]);
});

test("what fails before the first part is an ordinary error, and later the connection is cut without an end", async () => {
  const failing = async function* (parts: readonly string[]) {
    yield* parts;
    throw new StacyError("sandbox_not_found", "sandbox not found: x");
  };
  const { response: refused } = await asked(failing([]));
  expect([refused.statusCode, JSON.parse(String(await body(refused))).code]).toEqual([404, "NOT_FOUND"]);
  const { response, lines } = await asked(failing(["one"]));
  await expect(body(response)).rejects.toMatchObject({ code: "ECONNRESET" });
  expect(lines.some(({ msg }) => msg === "answer cut short")).toBe(true);
});

test("trailers are asked for when the parts have ended", async () => {
  let state = "begun";
  const parts = (async function* () {
    yield "one";
    yield "two";
    state = "ended";
  })();
  const { response } = await asked(parts, { "X-State": () => state });
  expect(response.headers.trailer).toBe("X-State");
  expect(String(await body(response))).toBe("onetwo");
  expect(response.trailers["x-state"]).toBe("ended");
});

test("a client that leaves ends the parts", async () => {
  const left = Promise.withResolvers<void>();
  const { response } = await asked(
    (async function* () {
      try {
        for (;;) yield Buffer.alloc(64 * 1024);
      } finally {
        left.resolve();
      }
    })(),
  );
  response.destroy();
  await left.promise;
});
