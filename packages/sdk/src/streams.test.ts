import fc from "fast-check";
import { expect, test } from "vitest";
import { collect, sendJson, serve } from "../test/server.ts";
import { Client, ConnectionError, parseNDJSON, StacyVMError } from "./index.ts";
import { sseData } from "./sse.ts";

/** A byte stream cut at the given places. */
function cut(bytes: Uint8Array, places: readonly number[]): ReadableStream<Uint8Array> {
  const edges = [...new Set([0, ...places.map((place) => place % (bytes.length + 1)), bytes.length])].sort(
    (a, b) => a - b,
  );
  return ReadableStream.from(edges.slice(1).map((end, i) => bytes.slice(edges[i], end)));
}

const info = { id: "sb-1", state: "running" };

test("chunks survive any cut of the bytes, inside characters too", async () => {
  const chunk = fc.record({ stream: fc.constantFrom("stdout", "stderr"), data: fc.string({ unit: "grapheme" }) });
  await fc.assert(
    fc.asyncProperty(fc.array(chunk), fc.array(fc.nat()), fc.boolean(), async (chunks, places, ended) => {
      const text = chunks.map((one) => JSON.stringify(one)).join("\n") + (ended ? "\n" : "");
      expect(await collect(parseNDJSON(cut(new TextEncoder().encode(text), places)))).toEqual(chunks);
    }),
  );
});

test("lines that are blank, malformed or no object are skipped, and absent keys take their defaults", async () => {
  const text = '\n  \n{bad\nnull\n5\n[1]\n"x"\n{"data":"d"}\r\n{"stream":"stderr"}\n{}';
  expect(await collect(parseNDJSON(cut(new TextEncoder().encode(text), [])))).toEqual([
    { stream: "stdout", data: "d" },
    { stream: "stderr", data: "" },
    { stream: "stdout", data: "" },
  ]);
});

test("events survive any cut, and comments are passed over", async () => {
  const events = fc.array(fc.jsonValue().map((value) => JSON.stringify(value)));
  await fc.assert(
    fc.asyncProperty(events, fc.array(fc.nat()), async (expected, places) => {
      const text = expected.map((data) => `: beat\n\nevent: x\ndata: ${data}\n\n`).join("");
      expect(await collect(sseData(cut(new TextEncoder().encode(text), places)))).toEqual(expected);
    }),
  );
});

test("a stream outlives the client's timeout, ends with the exit, and shows no chunk for it", async () => {
  await using server = await serve((request, response) => {
    if (!request.url.endsWith("/exec")) return sendJson(response, info);
    response.writeHead(200, { "Content-Type": "application/x-ndjson" });
    response.write('{"stream":"stdout","data":"a"}\n');
    setTimeout(() => {
      response.end('{"stream":"stdout","data":"b"}\n{"stream":"exit","data":"","exit_code":3,"timed_out":false}\n');
    }, 1300);
  });
  const sandbox = await new Client({ baseUrl: server.baseUrl, timeout: 1000 }).get("sb-1");
  const stream = sandbox.execStream("x", { user: "root", stdin: "in", maxOutputBytes: 9 });
  expect((await collect(stream)).map((chunk) => chunk.data)).toEqual(["a", "b"]);
  expect(await stream.done).toEqual({ exit_code: 3, timed_out: false, truncated: false });
  expect(JSON.parse(String(server.received.at(-1)?.body))).toEqual({
    command: "x",
    mode: "shell",
    user: "root",
    stdin: "in",
    max_output_bytes: 9,
    stream: true,
  });
});

test("a stream that breaks says so in the loop and in done", async () => {
  await using server = await serve((request, response) => {
    if (!request.url.endsWith("/exec")) return sendJson(response, info);
    response.writeHead(200);
    response.write('{"stream":"stdout","data":"a"}\n', () => response.socket?.destroy());
  });
  const stream = (await new Client(server.baseUrl).get("sb-1")).execStream("x");
  await expect(collect(stream)).rejects.toThrow(ConnectionError);
  await expect(stream.done).rejects.toThrow("before the command's end was known");
});

test("an error line of the server becomes an error", async () => {
  await using server = await serve((request, response) => {
    if (!request.url.endsWith("/exec")) return sendJson(response, info);
    response.end('{"stream":"exit","data":"","error":"the sandbox was destroyed"}\n');
  });
  const stream = (await new Client(server.baseUrl).get("sb-1")).execStream("x");
  await expect(collect(stream)).rejects.toThrow(StacyVMError);
  await expect(stream.done).rejects.toThrow("the sandbox was destroyed");
});

test("leaving the loop closes the connection, so that the server can end the command", async () => {
  const closed = Promise.withResolvers<void>();
  await using server = await serve((request, response) => {
    if (!request.url.endsWith("/exec")) return sendJson(response, info);
    response.on("close", closed.resolve);
    response.writeHead(200);
    response.write('{"stream":"stdout","data":"a"}\n');
  });
  const stream = (await new Client(server.baseUrl).get("sb-1")).execStream("x");
  for await (const _ of stream) break;
  await closed.promise;
  await expect(stream.done).rejects.toThrow("left before its end");
});

test("an abort in the middle of a stream ends it with the caller's reason", async () => {
  await using server = await serve((request, response) => {
    if (!request.url.endsWith("/exec")) return sendJson(response, info);
    response.writeHead(200);
    response.write('{"stream":"stdout","data":"a"}\n');
  });
  const controller = new AbortController();
  const stream = (await new Client(server.baseUrl).get("sb-1")).execStream("x", { signal: controller.signal });
  const reason = new Error("stop");
  const loop = (async () => {
    for await (const _ of stream) controller.abort(reason);
  })();
  await expect(loop).rejects.toBe(reason);
});

test("events arrive parsed, and leaving the loop closes the connection", async () => {
  const closed = Promise.withResolvers<void>();
  const event = { id: "evt-1", type: "sandbox.created", timestamp: "2026-01-01T00:00:00Z" };
  await using server = await serve((_, response) => {
    response.on("close", closed.resolve);
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write(`data: ${JSON.stringify(event)}\n\n`);
  });
  for await (const got of new Client(server.baseUrl).events()) {
    expect(got).toEqual(event);
    break;
  }
  await closed.promise;
});

test("a command's own timeout stretches the call's", async () => {
  await using server = await serve((request, response) => {
    if (!request.url.endsWith("/exec")) return sendJson(response, info);
    setTimeout(() => sendJson(response, { exit_code: 0, stdout: "", stderr: "", duration: "1s" }), 1300);
  });
  const sandbox = await new Client({ baseUrl: server.baseUrl, timeout: 1000 }).get("sb-1");
  expect((await sandbox.exec("x", { timeout: "1s" })).exit_code).toBe(0);
  await expect(sandbox.exec("x")).rejects.toThrow("timed out after 1000ms");
});
