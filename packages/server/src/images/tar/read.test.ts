import { execFileSync } from "node:child_process";
import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { imageBounds } from "../bounds.ts";
import { TruncatedError } from "./bytes.ts";
import { TarFormatError, type TarHeader } from "./header.ts";
import { parseRecords, readTar } from "./read.ts";
import { chunked, headerOf, tarOf } from "./tar-fixture.ts";
import { encodeHeader, endOfArchive } from "./write.ts";

async function all(bytes: Buffer, chunkSize?: number): Promise<(TarHeader & { content: string })[]> {
  const found = [];
  for await (const { header, body } of readTar(chunked(bytes, chunkSize))) {
    let content = "";
    for await (const chunk of body) content += chunk.toString("latin1");
    found.push({ ...header, content });
  }
  return found;
}

test("what the writer writes the reader reads, in chunks of any size", async () => {
  const name = fc.oneof(
    fc.stringMatching(/^[a-z][a-z0-9 ._-]{0,150}$/),
    fc.stringMatching(/^[\x80-\xff]{1,150}$/), // One character per byte.
  );
  const header = fc.record({
    name,
    type: fc.constantFrom("file" as const, "symlink" as const, "hardlink" as const, "fifo" as const),
    linkName: name,
    mode: fc.integer({ min: 0, max: 0o7777 }),
    uid: fc.integer({ min: 0, max: 2 ** 32 - 2 }),
    gid: fc.integer({ min: 0, max: 2 ** 32 - 2 }),
    mtimeSeconds: fc.integer({ min: -(2 ** 33), max: 2 ** 36 }),
    xattrs: fc.dictionary(fc.constantFrom("user.a", "user.b"), fc.stringMatching(/^[ -~]{0,40}$/)),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(header, { maxLength: 4 }), fc.integer({ min: 1, max: 2000 }), async (entries, size) => {
      const headers = entries.map((entry) => headerOf({ ...entry, name: entry.name }));
      const bytes = Buffer.concat([...headers.map(encodeHeader), endOfArchive()]);
      const found = await all(bytes, size);
      expect(found.map(({ content: _, ...rest }) => ({ ...rest, xattrs: { ...rest.xattrs } }))).toEqual(
        headers.map((each) => ({ ...each, xattrs: { ...each.xattrs } })),
      );
    }),
    { numRuns: 200 },
  );
});

test("bytes of any kind end in entries or in one of the two errors, never in anything else", async () => {
  const valid = tarOf({ name: "a", content: "hello" }, { name: "b".repeat(300) }, { name: "c", type: "directory" });
  const mangled = fc
    .array(fc.tuple(fc.nat(valid.length - 1), fc.integer({ min: 0, max: 255 })), { maxLength: 12 })
    .map((edits) => {
      const bytes = Buffer.from(valid);
      for (const [at, value] of edits) bytes[at] = value;
      return bytes;
    });
  await fc.assert(
    fc.asyncProperty(fc.oneof(mangled, fc.uint8Array({ maxLength: 3000 })), async (bytes) => {
      const outcome = await all(Buffer.from(bytes)).catch((error: unknown) => error);
      expect(Array.isArray(outcome) || outcome instanceof TarFormatError || outcome instanceof TruncatedError).toBe(
        true,
      );
    }),
    { numRuns: 500 },
  );
});

test("GNU tar's long names, old and pax format, are read whole", async () => {
  const dir = await mkdtemp(join(tmpdir(), "tar-"));
  try {
    const long = "n".repeat(200);
    await writeFile(join(dir, long), "content");
    for (const format of ["gnu", "pax", "posix"]) {
      const bytes = execFileSync("tar", [`--format=${format}`, "-C", dir, "-cf", "-", long]);
      expect(await all(bytes)).toMatchObject([{ name: long, content: "content", type: "file" }]);
    }
  } finally {
    await rm(dir, { recursive: true });
  }
});

test("a sparse terabyte in a few kilobytes is refused, in each of GNU tar's formats", async () => {
  const dir = await mkdtemp(join(tmpdir(), "tar-"));
  try {
    await writeFile(join(dir, "huge"), "");
    await truncate(join(dir, "huge"), 2 ** 40);
    for (const format of ["gnu", "pax"]) {
      const bytes = execFileSync("tar", ["--sparse", `--format=${format}`, "-C", dir, "-cf", "-", "huge"]);
      expect(bytes.length).toBeLessThan(100_000);
      await expect(all(bytes)).rejects.toThrow(/sparse/);
    }
  } finally {
    await rm(dir, { recursive: true });
  }
});

test("an extended header one byte above its bound is refused before it is read", async () => {
  const header = headerOf({ name: "x", sizeBytes: imageBounds.extendedHeaderBytes + 1 });
  const block = encodeHeader(header);
  block.write("x", 156, "latin1");
  // The checksum counts the type; make it fit again.
  const sum = block.reduce((total, byte, i) => total + (i >= 148 && i < 156 ? 0x20 : byte), 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  await expect(all(block)).rejects.toThrow(/too large/);
});

test("an archive that ends inside a file is an error, not a shorter file", async () => {
  const bytes = tarOf({ name: "a", content: "x".repeat(2000) });
  await expect(all(bytes.subarray(0, 1024))).rejects.toThrow(TruncatedError);
});

test("a record that lies about its length is refused", () => {
  for (const text of ["5 a=b\n", "99 a=b\n", "0 a=b\n", "-1 a=b\n", "6 a=bc", "4 =\n", "x a=b\n", "1\n"]) {
    expect(() => parseRecords(Buffer.from(text)), text).toThrow(TarFormatError);
  }
  expect(parseRecords(Buffer.from("6 a=b\n"))).toEqual({ a: "b" });
});

test("one changed bit in a header is noticed", async () => {
  const bytes = tarOf({ name: "a", content: "x" });
  bytes[0] = (bytes[0] ?? 0) ^ 1;
  await expect(all(bytes)).rejects.toThrow(/checksum/);
});
