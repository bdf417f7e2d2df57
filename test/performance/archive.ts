import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import type { ApiClient } from "./api-client.ts";
import { rounded, timed } from "./figures.ts";
import { atMost, type Item } from "./item.ts";
import { forgetPeak, residentBytes } from "./process-memory.ts";

const folders = 100;
const filesInEach = 100;
const fileBytes = 4096;
const largeBytes = 512 * 1024 * 1024;
const defaultN = 5;

/** A folder of many small files, as the system's tar packs it. */
const manyFiles = async (): Promise<Buffer> => {
  const root = await mkdtemp(join(tmpdir(), "stacyvm-bench-"));
  try {
    for (let at = 0; at < folders; at++) {
      const folder = join(root, `folder-${at}`);
      await mkdir(folder);
      for (let file = 0; file < filesInEach; file++)
        await writeFile(join(folder, `${file}.bin`), randomBytes(fileBytes));
    }
    return execFileSync("tar", ["--create", "--file", "-", "--directory", root, "."], { maxBuffer: 2 ** 30 });
  } finally {
    await rm(root, { recursive: true });
  }
};

const one = async (api: ApiClient, id: string, archive: Buffer, at: number) => {
  const path = `/api/v1/sandboxes/${id}/files/archive?path=/workspace/round-${at}`;
  const up = await timed(() => api.request({ method: "PUT", path, content: Readable.from(pieces(archive)) }));
  if (up.value.status !== 200) throw new Error(`the archive was answered with ${up.value.status}: ${up.value.text}`);
  let bytes = 0;
  const onChunk = (chunk: Buffer): void => {
    bytes += chunk.length;
  };
  const down = await timed(() => api.request({ method: "GET", path, onChunk }));
  if (down.value.status !== 200 || bytes < folders * filesInEach * fileBytes)
    throw new Error(`only ${bytes} came back`);
  return { up_ms: rounded(up.ms, 0), down_ms: rounded(down.ms, 0) };
};

function* pieces(archive: Buffer): Generator<Buffer> {
  for (let at = 0; at < archive.length; at += 64 * 1024) yield archive.subarray(at, at + 64 * 1024);
}

/** The system's tar of a sparse file, as it is made. */
async function* packedByTar(): AsyncGenerator<Buffer> {
  const root = await mkdtemp(join(tmpdir(), "stacyvm-bench-"));
  try {
    await writeFile(join(root, "file"), "");
    await truncate(join(root, "file"), largeBytes);
    yield* spawn("tar", ["--create", "--file", "-", "--directory", root, "."], { stdio: ["ignore", "pipe", "inherit"] })
      .stdout;
  } finally {
    await rm(root, { recursive: true });
  }
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

/** A large file out of a folder, and one into another. */
const large = async (api: ApiClient, id: string): Promise<void> => {
  await api.run(id, "mkdir", ["/workspace/large"]);
  await api.run(id, "truncate", ["-s", String(largeBytes), "/workspace/large/file"]);
  const files = `/api/v1/sandboxes/${id}/files/archive`;
  const out = await api.request({ method: "GET", path: `${files}?path=/workspace/large`, onChunk: () => {} });
  if (out.status !== 200) throw new Error(`the large folder was answered with ${out.status}`);
  const content = Readable.from(packedByTar(), { objectMode: false });
  const into = await api.request({ method: "PUT", path: `${files}?path=/workspace/into`, content });
  if (into.status !== 200) throw new Error(`the large archive was answered with ${into.status}: ${into.text}`);
};

/** 10,000 files of 4 KiB as one archive, each time into a folder of its own and out again. */
export const archive: Item = async ({ api, n, server }) => {
  const packed = await manyFiles();
  const id = await api.createSandbox({ vcpus: 2, memory_mb: 1024 });
  try {
    await one(api, id, packed, -1);
    forgetPeak(server.pid);
    const before = residentBytes(server.pid).now;
    const rounds = [];
    for (let at = 0; at < (n ?? defaultN); at++) rounds.push(await one(api, id, packed, at));
    await large(api, id);
    const grew = rounded((residentBytes(server.pid).peak - before) / 1e6, 1);
    const [up, down] = [median(rounds.map(({ up_ms }) => up_ms)), median(rounds.map(({ down_ms }) => down_ms))];
    return {
      figures: { archive_bytes: packed.length, rounds, up_ms: up, down_ms: down, server_grew_mb: grew },
      lines: [
        atMost("10,000 files of 4 KiB up as one archive", 3000, "ms", up),
        atMost("10,000 files of 4 KiB down as one archive", 3000, "ms", down),
        atMost("growth of the server's memory", 64, "MB", grew),
      ],
    };
  } finally {
    await api.destroySandbox(id);
  }
};
