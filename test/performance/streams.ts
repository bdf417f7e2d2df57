import { Readable } from "node:stream";
import type { ApiClient, ApiRequest } from "./api-client.ts";
import { megabytesPerSecond, rounded, timed } from "./figures.ts";
import { atLeast, atMost, type Item } from "./item.ts";
import { forgetPeak, residentBytes } from "./process-memory.ts";

const mebibyte = 1024 * 1024;
const sizeBytes = 1024 * mebibyte;
const textBytes = 16 * mebibyte;

const zeros = (bytes: number): Readable => {
  const block = Buffer.alloc(mebibyte);
  return Readable.from(
    (function* () {
      for (let sent = 0; sent < bytes; sent += block.length) yield block;
    })(),
    { objectMode: false },
  );
};

/** Printable lines of 76 characters. */
const printable = (bytes: number): Buffer => {
  const random = Buffer.from(Array.from({ length: 57 * 1024 }, (_, at) => (at * 2_654_435_761) >>> 24));
  const text = Buffer.from(random.toString("base64").replace(/.{76}/g, "$&\n"));
  return Buffer.concat(Array.from({ length: Math.ceil(bytes / text.length) }, () => text)).subarray(0, bytes);
};

/** Output and files of 1 GiB, and what the server's memory does meanwhile. */
export const streams: Item = async ({ api, n, server }) => {
  const id = await api.createSandbox({ vcpus: 2, memory_mb: 1024 });
  const path = `/api/v1/sandboxes/${id}`;

  const move = async (request: ApiRequest, expected?: number) => {
    let bytes = 0;
    const count = (chunk: Buffer): void => {
      bytes += chunk.length;
    };
    forgetPeak(server.pid);
    const before = residentBytes(server.pid).now;
    const { ms, value } = await timed(() => api.request({ ...request, onChunk: count }));
    const grown = residentBytes(server.pid).peak - before;
    if (value.status !== 200) throw new Error(`${request.method} ${request.path}: ${value.status}`);
    if (expected !== undefined && bytes !== expected) throw new Error(`${bytes} bytes arrived, not ${expected}`);
    return { bytes, ms, mb_per_s: megabytesPerSecond(sizeBytes, ms), server_grew_mb: rounded(grown / 1e6, 1) };
  };
  const exec = (body: object, headers = {}): ApiRequest => ({ method: "POST", path: `${path}/exec`, body, headers });
  // Whole blocks: a program that writes byte by byte, as busybox's `head -c` does, is slower than the line by itself.
  const blocks = ["if=/dev/zero", "bs=64k", `count=${sizeBytes / (64 * 1024)}`];
  const raw = exec({ command: "dd", args: blocks, mode: "argv" }, { accept: "application/octet-stream" });
  const texts = Array.from({ length: sizeBytes / textBytes }, () => "/workspace/text");
  const lines = exec({ command: "cat", args: texts, mode: "argv", stream: true });
  const file = `${path}/files?path=/workspace/big`;
  const upload = (bytes: number): ApiRequest => ({ method: "PUT", path: file, content: zeros(bytes) });
  const download: ApiRequest = { method: "GET", path: file };

  /** The best of several: what else the machine does only takes away. Memory is the worst of all. */
  const best = async (run: () => ReturnType<typeof move>) => {
    const runs = [];
    for (let at = 0; at < (n ?? 3); at++) runs.push(await run());
    return {
      mb_per_s: Math.max(...runs.map((each) => each.mb_per_s)),
      server_grew_mb: Math.max(...runs.map((each) => each.server_grew_mb)),
      runs,
    };
  };
  try {
    await warmUp(api, path, upload(64 * mebibyte), download);
    const output = await best(() => move(raw, sizeBytes));
    const text = await best(() => move(lines));
    const up = await best(() => move(upload(sizeBytes)));
    const down = await best(() => move(download, sizeBytes));
    const grew = Math.max(...[output, text, up, down].map((each) => each.server_grew_mb));
    return {
      figures: { stdout_bytes: output, stdout_ndjson: text, file_up: up, file_down: down },
      lines: [
        atLeast("1 GiB of stdout as raw bytes", 200, "MB/s", output.mb_per_s),
        atLeast("1 GiB of printable stdout as NDJSON", 80, "MB/s", text.mb_per_s),
        atLeast("1 GiB file up", 200, "MB/s", up.mb_per_s),
        atLeast("1 GiB file down", 200, "MB/s", down.mb_per_s),
        atMost("growth of the server's memory", 64, "MB", grew),
      ],
    };
  } finally {
    await api.destroySandbox(id);
  }
};

/** Code compiled, buffers of a working server allocated, and the text in place. */
const warmUp = async (api: ApiClient, path: string, upload: ApiRequest, download: ApiRequest): Promise<void> => {
  const content = Readable.from([printable(textBytes)], { objectMode: false });
  await api.request({ method: "PUT", path: `${path}/files?path=/workspace/text`, content });
  await api.request(upload);
  await api.request({ ...download, onChunk: () => {} });
  for (const body of [{ stream: true }, {}]) {
    const headers = "stream" in body ? {} : { accept: "application/octet-stream" };
    const request = { command: "cat", args: ["/workspace/text", "/workspace/text"], mode: "argv", ...body };
    await api.request({ method: "POST", path: `${path}/exec`, body: request, headers, onChunk: () => {} });
  }
};
