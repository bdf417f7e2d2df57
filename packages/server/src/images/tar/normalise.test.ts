import { mkdtemp, readdir, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { fullBudget, normaliseLayer } from "./normalise.ts";
import { tarOf } from "./tar-fixture.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "stacyvm-normalise-"));
});
afterEach(async () => await rm(directory, { recursive: true, force: true }));

/** Files of the directory that this process has open. */
async function held(): Promise<string[]> {
  const open = await readdir("/proc/self/fd");
  const files = await Promise.all(open.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => "")));
  return files.filter((file) => file.startsWith(directory));
}

const layer = (chunks: () => AsyncGenerator<Buffer>) => ({ open: chunks, blobDigest: undefined, diffId: undefined });
const tar = tarOf({ name: "file", content: "x".repeat(3 * 1024 ** 2) });

test("a layer's file is closed when its writing has ended, whichever way it did", async () => {
  const write = (name: string, chunks: () => AsyncGenerator<Buffer>, signal: AbortSignal) =>
    normaliseLayer(layer(chunks), join(directory, name), fullBudget(), signal);
  async function* whole() {
    yield tar;
  }
  await write("whole", whole, new AbortController().signal);
  expect(await held()).toEqual([]);

  await expect(write("never", whole, AbortSignal.abort())).rejects.toThrow("aborted");
  const given = new AbortController();
  async function* broken() {
    yield tar.subarray(0, 2 * 1024 ** 2);
    given.abort();
    yield tar.subarray(2 * 1024 ** 2);
  }
  await expect(write("broken", broken, given.signal)).rejects.toThrow("aborted");
  async function* short() {
    yield tar.subarray(0, 1024 ** 2);
  }
  await expect(write("short", short, new AbortController().signal)).rejects.toThrow();
  // The stream that never should have been made would open its file only now.
  await new Promise((resolve) => setImmediate(resolve));
  expect(await held()).toEqual([]);
});
