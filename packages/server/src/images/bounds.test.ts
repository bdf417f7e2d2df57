import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { savedImage } from "./archive.ts";
import { boundedEnv } from "./documents.ts";
import { readDocument } from "./oci-layout.ts";
import { parseReference } from "./references.ts";
import { runTool, type ToolError } from "./run-tool.ts";
import { fullBudget, normaliseLayer } from "./tar/normalise.ts";
import { readTar } from "./tar/read.ts";
import { sanitiseEntry } from "./tar/sanitise.ts";
import { headerOf, tarOf } from "./tar/tar-fixture.ts";
import { unpackImage } from "./unpack.ts";

// The numbers are written out: a bound that somebody raises has to be raised here too.
const signal = AbortSignal.timeout(120_000);
const x = (length: number) => "x".repeat(length);
let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "stacyvm-image-bounds-"));
});
afterAll(() => rm(directory, { recursive: true }));

/** A path of so many bytes whose components are short enough. */
const path = (length: number) => `${"d/".repeat(Math.ceil(length / 2))}`.slice(0, length - 1).concat("f");

async function* bytes(content: Buffer): AsyncGenerator<Buffer> {
  yield content;
}

const layerOf = (content: Buffer) => ({ open: () => bytes(content), blobDigest: undefined, diffId: undefined });

/** An extended header of exactly so many bytes. */
const extended = (length: number) => `${length} comment=${x(length - `${length} comment=\n`.length)}\n`;

const workDir = () => mkdtemp(join(directory, "work-"));

const host = `${x(60)}.${x(60)}.${x(63)}`;
const pin = `@sha256:${"0".repeat(64)}`;

test.each<readonly [string, number, (n: number) => unknown]>([
  ["bytes of a reference", 512, (n) => parseReference(`${host}/${x(n - host.length - pin.length - 1)}${pin}`)],
  ["characters of a repository", 255, (n) => parseReference(`r.example/${x(n)}`)],
  ["bytes of a file's name", 255, (n) => sanitiseEntry(headerOf({ name: x(n) }))],
  ["bytes of a path", 4096, (n) => sanitiseEntry(headerOf({ name: path(n) }))],
  ["bytes of a link's target", 4096, (n) => sanitiseEntry(headerOf({ name: "l", type: "symlink", linkName: path(n) }))],
  [
    "bytes of a document",
    4 * 1024 ** 2,
    async (n) => {
      await writeFile(join(directory, "document"), Buffer.alloc(n));
      await readDocument(join(directory, "document"));
    },
  ],
  [
    "entries of all layers",
    2,
    async (n) => {
      const entries = Array.from({ length: n }, (_, i) => ({ name: `f${i}` }));
      const budget = { ...fullBudget(), entries: 2 };
      await normaliseLayer(layerOf(tarOf(...entries)), join(await workDir(), "layer"), budget, signal);
    },
  ],
  [
    "layers",
    256,
    async (n) => {
      const layers = Array.from({ length: n }, () => layerOf(tarOf()));
      const common = { signal, timeoutMs: 60_000, maxUnpackedBytes: 1e7, exists: async () => true };
      await unpackImage({ ...common, image: { layers, env: {} }, workDir: await workDir() });
    },
  ],
])("%s: %d are taken, one more is refused", async (_, most, take) => {
  await expect((async () => take(most))()).resolves.not.toThrow();
  await expect((async () => take(most + 1))()).rejects.toThrow();
});

test("an extended header of 1 MiB is read, one byte more is refused", async () => {
  const read = async (length: number) => {
    const header = Buffer.from(extended(length));
    const archive = tarOf({ name: "x", content: header.toString() }, { name: "f" });
    archive[156] = "x".charCodeAt(0);
    let sum = 0;
    archive.fill(" ", 148, 156);
    for (const byte of archive.subarray(0, 512)) sum += byte;
    archive.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    for await (const _ of readTar(bytes(archive)));
  };
  await read(1024 ** 2);
  await expect(read(1024 ** 2 + 1)).rejects.toThrow(/extended header is too large/);
});

test("256 variables and 64 KiB of an image's environment are taken, and no more", () => {
  const lines = (n: number) => Array.from({ length: n }, (_, i) => `V${i}=`);
  expect(Object.keys(boundedEnv(lines(256)))).toHaveLength(256);
  expect(Object.keys(boundedEnv(lines(257)))).toHaveLength(256);
  const long = (total: number) => boundedEnv(["A=", `B=${x(total - 4)}`]);
  expect(Object.keys(long(64 * 1024))).toEqual(["A", "B"]);
  expect(Object.keys(long(64 * 1024 + 1))).toEqual(["A"]);
});

test("a saved image of 4096 files is read through, and one of one more is refused for it", async () => {
  const save = async (n: number) => {
    const file = join(directory, `saved-${n}`);
    await writeFile(file, tarOf(...Array.from({ length: n }, (_, i) => ({ name: `f${i}` }))));
    const to = join(directory, `members-${n}`);
    await mkdir(to);
    return await savedImage(file, to, 1000, signal);
  };
  await expect(save(4096)).rejects.toThrow(/manifest\.json.*missing/);
  await expect(save(4097)).rejects.toThrow(/too many files/);
});

test("of what a tool says 16 KiB are kept, and 4 KiB of each line are passed on", async () => {
  const longest = { length: 0 };
  const failing = runTool({
    argv: ["perl", "-e", `print STDERR "x" x 4097, "\\n", ("y" x 4000, "\\n") x 5, "the end\\n"; exit 1`],
    signal,
    timeoutMs: 10_000,
    onLine: (line) => {
      longest.length = Math.max(longest.length, line.length);
    },
  });
  const error = (await failing.catch((thrown: unknown) => thrown)) as ToolError;
  expect(error.stderr).toHaveLength(16 * 1024);
  expect(error.stderr.endsWith("the end\n")).toBe(true);
  expect(longest.length).toBe(4096);
});
