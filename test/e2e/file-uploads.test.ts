import { createHash, randomBytes } from "node:crypto";
import http from "node:http";
import type { Upload } from "@stacyvm/contract";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { post, spawnSandbox, type TestSandbox } from "./api.ts";
import { startServer, type TestServer } from "./server.ts";

let server: TestServer;
let sandbox: TestSandbox;
beforeAll(async () => {
  server = await startServer({ config: { "providers.mock.enabled": "true", "defaults.disk_size_mb": "64" } });
  sandbox = await spawnSandbox(server, { provider: "mock" });
});
afterAll(async () => {
  await sandbox[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const begin = async (body: object): Promise<Upload & { readonly url: string }> => {
  const answer = await post(`${sandbox.url}/files/uploads`, body);
  expect(answer.status).toBe(201);
  const upload = (await answer.json()) as Upload;
  return { ...upload, url: `${sandbox.url}/files/uploads/${upload.upload_id}` };
};
const append = (url: string, offset: number, body: Uint8Array<ArrayBuffer>) =>
  fetch(url, { method: "PATCH", headers: { "Upload-Offset": String(offset) }, body });
const offsetOf = async (url: string): Promise<number> => ((await (await fetch(url)).json()) as Upload).offset;
const read = async (path: string): Promise<Buffer> =>
  Buffer.from(await (await fetch(`${sandbox.url}/files?path=${encodeURIComponent(path)}`)).arrayBuffer());
const problem = async (answer: Response) => {
  const { reason, details } = (await answer.json()) as { reason: string; details?: unknown };
  return { status: answer.status, reason, ...(details === undefined ? {} : { details }) };
};
const checksum = (content: Uint8Array): string => `sha256:${createHash("sha256").update(content).digest("hex")}`;

/** Announces all bytes, sends the first ones, and breaks the connection once the sandbox has them. */
const cut = async (url: string, offset: number, bytes: Uint8Array, sent: number): Promise<void> => {
  const request = http.request(url, {
    method: "PATCH",
    headers: { "upload-offset": offset, "content-length": bytes.length },
  });
  request.on("error", () => {});
  await new Promise<void>((resolve) => request.write(bytes.subarray(0, sent), () => resolve()));
  await expect.poll(() => offsetOf(url), { timeout: 10_000 }).toBe(offset + sent);
  request.destroy();
};

/** Adds bytes once whoever was at work before has let go. */
const appendWhenFree = async (url: string, offset: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> => {
  await expect.poll(async () => (await append(url, offset, bytes)).status, { timeout: 10_000 }).toBe(200);
};

test("an upload's offset, size and expiry are told by GET, and by HEAD in headers", async () => {
  const upload = await begin({ path: "told", size: 6 });
  expect(upload).toMatchObject({ offset: 0, size: 6, upload_id: expect.stringMatching(/^up-[0-9a-f]{16}$/) });
  expect(Date.parse(upload.expires_at) - Date.now()).toBeGreaterThan(23 * 3_600_000);
  expect((await fetch(`${upload.url}?offset=0`, { method: "PATCH", body: "abc" })).status).toBe(200);
  const head = await fetch(upload.url, { method: "HEAD" });
  expect([head.headers.get("upload-offset"), head.headers.get("upload-length")]).toEqual(["3", "6"]);
  expect(await problem(await post(`${upload.url}/commit`, {}))).toMatchObject({ reason: "upload_conflict" });
  expect(await problem(await append(upload.url, 3, Buffer.from("defg")))).toMatchObject({ reason: "invalid_input" });
  expect(await offsetOf(upload.url)).toBe(6);
  expect(await (await post(`${upload.url}/commit`, { checksum: checksum(Buffer.from("abcdef")) })).json()).toEqual({
    status: "written",
    size: 6,
    checksum: checksum(Buffer.from("abcdef")),
  });
  expect((await read("told")).toString()).toBe("abcdef");
});

test("a wrong offset is a conflict that says the right one, and none at all is refused by name", async () => {
  const { url } = await begin({ path: "offsets" });
  await append(url, 0, Buffer.from("abc"));
  for (const offset of [0, 2, 4]) {
    expect(await problem(await append(url, offset, Buffer.from("x")))).toEqual({
      status: 409,
      reason: "upload_conflict",
      details: { offset: 3 },
    });
  }
  for (const headers of [{}, { "Upload-Offset": "-1" }, { "Upload-Offset": "3x" }] as Record<string, string>[]) {
    const answer = await fetch(url, { method: "PATCH", headers, body: "x" });
    expect([answer.status, ((await answer.json()) as { message: string }).message]).toEqual([
      400,
      expect.stringContaining("Upload-Offset"),
    ]);
  }
  expect((await fetch(url, { method: "DELETE" })).status).toBe(200);
  expect(await problem(await fetch(url))).toEqual({ status: 404, reason: "upload_not_found" });
});

test("a second request on an upload meanwhile is a conflict, and a broken one keeps what had arrived", async () => {
  const { url } = await begin({ path: "broken" });
  const bytes = randomBytes(200_000);
  const request = http.request(url, { method: "PATCH", headers: { "upload-offset": 0, "content-length": 200_000 } });
  request.on("error", () => {});
  request.write(bytes.subarray(0, 50_000));
  await expect.poll(() => offsetOf(url), { timeout: 10_000 }).toBe(50_000);
  expect(await problem(await append(url, 50_000, bytes))).toMatchObject({ reason: "upload_conflict" });
  expect(await problem(await post(`${url}/commit`, {}))).toMatchObject({ reason: "upload_conflict" });
  request.destroy();
  await appendWhenFree(url, 50_000, bytes.subarray(50_000));
  expect((await post(`${url}/commit`, { checksum: checksum(bytes) })).status).toBe(200);
  expect((await read("broken")).equals(bytes)).toBe(true);
});

test("a wrong checksum and an unknown field change nothing", async () => {
  await fetch(`${sandbox.url}/files?path=kept`, { method: "PUT", body: "old" });
  const { url } = await begin({ path: "kept" });
  await append(url, 0, Buffer.from("new"));
  expect(await problem(await post(`${url}/commit`, { checksum: checksum(Buffer.from("other")) }))).toEqual({
    status: 422,
    reason: "checksum_mismatch",
  });
  for (const body of [{ checksum: "md5:00" }, { sha256: "x" }]) {
    expect(await problem(await post(`${url}/commit`, body))).toMatchObject({ status: 400, reason: "invalid_input" });
  }
  expect((await read("kept")).toString()).toBe("old");
  await fetch(url, { method: "DELETE" });
});

test("a full disk is 507 with the offset where to go on, and the old content stays", async () => {
  await using small = await spawnSandbox(server, { provider: "oci" });
  const files = `${small.url}/files`;
  await fetch(`${files}?path=kept`, { method: "PUT", body: "old" });
  const begun = await post(`${files}/uploads`, { path: "kept" });
  const url = `${files}/uploads/${((await begun.json()) as Upload).upload_id}`;
  const bytes = randomBytes(80 << 20);
  const full = await problem(await append(url, 0, bytes));
  const offset = await offsetOf(url);
  expect(full).toEqual({ status: 507, reason: "disk_full", details: { offset } });
  expect(offset).toBeGreaterThan(1 << 20);
  expect(await (await fetch(`${files}?path=kept`)).text()).toBe("old");
  // What has arrived is kept, and can be all that there is to be.
  const checked = { checksum: checksum(bytes.subarray(0, offset)) };
  expect((await post(`${url}/commit`, checked)).status).toBe(200);
});

const piece = fc.integer({ min: 0, max: 100_000 });
const step = fc.oneof(
  fc.record({ kind: fc.constant("append" as const), bytes: piece }),
  fc.record({
    kind: fc.constant("cut" as const),
    bytes: piece.filter((bytes) => bytes > 0),
    sent: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
  fc.record({ kind: fc.constant("replay" as const), back: fc.integer({ min: 1, max: 100_000 }) }),
  fc.record({ kind: fc.constant("wrong commit" as const) }),
);

test("whatever is sent, cut, replayed and committed too early, the file has the bytes once and in order", async () => {
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
      runs += 1;
      const path = `random-${runs}`;
      const { url } = await begin({ path });
      const written = randomBytes(1_200_001);
      let at = 0;
      for (const each of steps) {
        if (each.kind === "append") {
          await appendWhenFree(url, at, written.subarray(at, at + each.bytes));
          at += each.bytes;
        } else if (each.kind === "cut") {
          // Whoever was cut before lets go once the sandbox sees it.
          await appendWhenFree(url, at, new Uint8Array());
          const sent = Math.floor(each.sent * (each.bytes - 1));
          await cut(url, at, written.subarray(at, at + each.bytes), sent);
          at += sent;
        } else if (each.kind === "replay") {
          const from = Math.max(0, at - each.back);
          if (from === at) continue;
          expect((await append(url, from, written.subarray(from, at))).status).toBe(409);
        } else {
          const answer = await post(`${url}/commit`, { checksum: `sha256:${"0".repeat(64)}` });
          expect([409, 422]).toContain(answer.status);
        }
        expect(await offsetOf(url)).toBe(at);
      }
      await appendWhenFree(url, at, written.subarray(at));
      expect((await post(`${url}/commit`, { checksum: checksum(written) })).status).toBe(200);
      expect((await read(path)).equals(written)).toBe(true);
    }),
    { numRuns: 15 },
  );
});
