import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { sendJson, serve, type TestServer } from "../test/server.ts";
import { Client, type Sandbox } from "./index.ts";

/** A server that holds files by path, answers ranges, and gives raw output for an exec that accepts it. */
const fileServer = (files: Map<string, Buffer>): Promise<TestServer> =>
  serve((request, response) => {
    const url = new URL(request.url, "http://x");
    const path = url.searchParams.get("path") ?? "";
    if (url.pathname.endsWith("/exec")) {
      if (request.headers.accept !== "application/octet-stream") return sendJson(response, {}, 406);
      return void response.end(files.get("output"));
    }
    if (!url.pathname.endsWith("/files")) return sendJson(response, { id: "sb-1" });
    if (request.method === "PUT") {
      files.set(path, request.body);
      return sendJson(response, { status: "written" });
    }
    const content = files.get(path);
    if (content === undefined) return sendJson(response, { code: "NOT_FOUND", message: "no such path" }, 404);
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
    response.setHeader("ETag", `"of-${content.length}"`);
    if (range === null) return void response.setHeader("Content-Length", content.length).end(content);
    const part = content.subarray(Number(range[1]), range[2] ? Number(range[2]) + 1 : undefined);
    const contentRange = `bytes ${range[1]}-${Number(range[1]) + part.length - 1}/${content.length}`;
    response.writeHead(206, { "Content-Range": contentRange, "Content-Length": part.length }).end(part);
  });

async function withFiles(use: (sandbox: Sandbox, server: TestServer) => Promise<void>): Promise<void> {
  const files = new Map([["output", randomBytes(9000)]]);
  await using server = await fileServer(files);
  await use(await new Client(server.baseUrl).get("sb-1"), server);
}

const bytes = new Uint8Array(randomBytes(300_000));

test.each([
  ["bytes", () => bytes],
  ["a Blob", () => new Blob([bytes])],
  ["a stream", () => ReadableStream.from([bytes.slice(0, 7), bytes.slice(7)])],
])("%s come back byte for byte", async (_, content) => {
  await withFiles(async (sandbox, server) => {
    await sandbox.files.write("/workspace/a b\n'&?.bin", content(), { mode: "0755" });
    expect(await sandbox.files.read("/workspace/a b\n'&?.bin")).toEqual(bytes);
    const query = new URL(server.received[1]?.url ?? "", "http://x").searchParams;
    expect([query.get("mode"), server.received[1]?.headers["content-type"]]).toEqual([
      "0755",
      "application/octet-stream",
    ]);
  });
});

test("text is written as UTF-8, and an empty file stays empty", async () => {
  await withFiles(async (sandbox) => {
    await sandbox.files.write("t", "naïve 🚀");
    expect(await sandbox.files.readText("t")).toBe("naïve 🚀");
    await sandbox.files.write("e", "");
    expect(await sandbox.files.read("e")).toEqual(new Uint8Array());
  });
});

test("a range has both its ends in it", async () => {
  await withFiles(async (sandbox) => {
    await sandbox.files.write("r", "0123456789");
    expect(await sandbox.files.readText("r", { range: { start: 2, end: 4 } })).toBe("234");
    expect(await sandbox.files.readText("r", { range: { start: 7 } })).toBe("789");
  });
});

test("a stream of a file carries all of it", async () => {
  await withFiles(async (sandbox) => {
    await sandbox.files.write("s", bytes);
    const stream = await sandbox.files.stream("s");
    expect(new Uint8Array(await new Response(stream).arrayBuffer())).toEqual(bytes);
  });
});

test("a download goes on from an offset and says which version of the file it is of", async () => {
  await withFiles(async (sandbox) => {
    await sandbox.files.write("d", "0123456789");
    const version = { etag: '"of-10"', sizeBytes: 10 };
    expect(await sandbox.files.version("d")).toEqual(version);
    for (const from of [0, 7]) {
      const { stream, ...rest } = await sandbox.files.download("d", { from });
      expect(rest).toEqual({ ...version, offset: from });
      expect(await new Response(stream).text()).toBe("0123456789".slice(from));
    }
  });
});

test("a missing file rejects before a stream is handed out", async () => {
  await withFiles(async (sandbox) => {
    await expect(sandbox.files.stream("none")).rejects.toThrow("no such path");
  });
});

test("raw output is every byte of it", async () => {
  await withFiles(async (sandbox) => {
    const { stdout } = await sandbox.exec("x", { output: "bytes" });
    expect(stdout.length).toBe(9000);
  });
});

test("an upload that goes on waits for the request that an earlier attempt lost", async () => {
  let refusals = 2;
  await using server = await serve((request, response) => {
    if (request.method !== "PATCH") return sendJson(response, { id: "sb-1", upload_id: "up-1", offset: 0 });
    refusals -= 1;
    if (refusals < 0) return sendJson(response, { upload_id: "up-1", offset: 3 });
    sendJson(response, { code: "CONFLICT", reason: "upload_conflict", message: "at work" }, 409);
  });
  const retry = { sleep: async () => {} };
  const sandbox = await new Client({ baseUrl: server.baseUrl, retry }).get("sb-1");
  await sandbox.files.upload("f", new Uint8Array(3), { uploadId: "up-1" });
  expect(server.received.map(({ method }) => method).join(" ")).toBe("GET GET PATCH GET PATCH GET PATCH POST");
});
