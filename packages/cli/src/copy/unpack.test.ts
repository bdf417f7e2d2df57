import fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeHeader, endOfArchive, padding, type TarHeader } from "@stacyvm/server/tar";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { unpackInto } from "./unpack.ts";

/** `home` holds a canary and the folder that is unpacked into. */
let home = "";
let root = "";
beforeEach(() => {
  home = fs.mkdtempSync(join(tmpdir(), "stacyvm-unpack-"));
  root = join(home, "target");
  fs.mkdirSync(root);
  fs.mkdirSync(join(home, "outside"));
  fs.writeFileSync(join(home, "outside", "canary"), "alive", { mode: 0o600 });
});
afterEach(() => fs.rmSync(home, { recursive: true, force: true }));

type Entry = Partial<TarHeader> & { readonly name: string; readonly content?: string };

/** As an attacker could write it: nothing is checked. */
const tarOf = (...entries: readonly Entry[]): Buffer =>
  Buffer.concat([
    ...entries.flatMap(({ content = "", ...entry }) => {
      const bytes = Buffer.from(content);
      const rest = { type: "file", linkName: "", mode: 0o644, uid: 0, gid: 0, mtimeSeconds: 1_700_000_000 } as const;
      return [encodeHeader({ ...rest, xattrs: {}, sizeBytes: bytes.length, ...entry }), bytes, padding(bytes.length)];
    }),
    endOfArchive(),
  ]);

async function* pieces(bytes: Uint8Array, size = 700): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
const unpack = (...entries: readonly Entry[]) => unpackInto(root, pieces(tarOf(...entries)));

/** Everything outside of the target, with content, mode and number of names. */
const outside = () =>
  ["", "outside"].flatMap((folder) =>
    fs
      .readdirSync(join(home, folder))
      .filter((name) => name !== "target")
      .map((name) => {
        const path = join(home, folder, name);
        const stats = fs.lstatSync(path);
        return [name, stats.mode, stats.nlink, stats.isFile() ? fs.readFileSync(path, "utf8") : ""];
      }),
  );
const parts = () =>
  fs.readdirSync(root, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".stacyvm-part"));

const link = (name: string, linkName: string): Entry => ({ name, type: "symlink", linkName });
const hostile: readonly [string, readonly Entry[], string][] = [
  ["an absolute name", [{ name: "/etc/passwd" }], "an absolute name leads out"],
  ["a name with ..", [{ name: "a/../../outside/canary" }], "a name with .. leads out"],
  [".. alone", [{ name: "..", type: "directory" }], "a name with .. leads out"],
  [
    "a file through a symlink",
    [link("a", "../outside"), { name: "a/canary", content: "x" }],
    "symlinks are never followed",
  ],
  ["a directory through a symlink", [link("a", "../outside"), { name: "a/b", type: "directory" }], "never followed"],
  [
    "a directory in a symlink's place",
    [link("a", "../outside"), { name: "a/", type: "directory", mode: 0 }],
    "never followed",
  ],
  ["a symlink through a symlink", [link("a", "../outside"), link("a/b", "x")], "never followed"],
  ["a hard link to a name outside", [{ name: "a", type: "hardlink", linkName: "../outside/canary" }], ".. leads out"],
  ["a hard link to an absolute name", [{ name: "a", type: "hardlink", linkName: "/etc/passwd" }], "absolute name"],
  [
    "a hard link through a symlink",
    [link("l", "../outside"), { name: "a", type: "hardlink", linkName: "l/canary" }],
    "no file of the folder",
  ],
  [
    "a hard link to a symlink",
    [link("l", "../outside/canary"), { name: "a", type: "hardlink", linkName: "l" }],
    "no file of the folder",
  ],
  ["a hard link to nothing", [{ name: "a", type: "hardlink", linkName: "gone" }], "no file of the folder"],
  ["a hard link to the folder", [{ name: "a", type: "hardlink", linkName: "." }], "no file of the folder"],
  ["a device", [{ name: "a", type: "char" }], "it is a device"],
  ["a FIFO", [{ name: "a", type: "fifo" }], "it is a FIFO"],
  ["a file for the folder itself", [{ name: ".", content: "x" }], "only a directory may stand for the folder itself"],
  ["a symlink for the folder itself", [link("./", "../outside")], "only a directory may stand for the folder itself"],
  [
    "a file for a directory",
    [
      { name: "a", type: "directory" },
      { name: "a", content: "x" },
    ],
    "a file can't take its place",
  ],
  [
    "a symlink for a directory",
    [{ name: "a", type: "directory" }, link("a", "../outside")],
    "a file can't take its place",
  ],
  [
    "a name in a file",
    [
      { name: "a", content: "x" },
      { name: "a/b", content: "x" },
    ],
    "no directory here",
  ],
  ["a component that is too long", [{ name: "b".repeat(256) }], "longer than 255 bytes"],
  ["a name that is too long", [{ name: "b/".repeat(2048) }], "longer than 4095 bytes"],
  ["a name that is too deep", [{ name: "b/".repeat(513), type: "directory" }], "more than 512 folders"],
  ["a symlink to nothing", [link("a", "")], "a link to nothing"],
];

test.each(hostile)("%s is refused, and nothing outside of the folder changes", async (_, entries, message) => {
  const before = outside();
  await expect(unpack({ name: "first", content: "kept" }, ...entries)).rejects.toThrow(message);
  expect([outside(), parts()]).toEqual([before, []]);
  expect(fs.readFileSync(join(root, "first"), "utf8")).toBe("kept");
});

test("what stands in the way is replaced, never written through: symlinks and second names keep what they had", async () => {
  fs.symlinkSync("../outside/canary", join(root, "symlink"));
  fs.linkSync(join(home, "outside", "canary"), join(root, "second"));
  const before = outside().map(([name, mode, , text]) => [name, mode, text]);
  await unpack({ name: "symlink", content: "new", mode: 0o666 }, { name: "second", content: "new", mode: 0o666 });
  expect(outside().map(([name, mode, , text]) => [name, mode, text])).toEqual(before);
  expect(["symlink", "second"].map((name) => fs.lstatSync(join(root, name)).isFile())).toEqual([true, true]);
  expect(fs.readFileSync(join(root, "second"), "utf8")).toBe("new");
});

test("a symlink that was in the folder before isn't followed", async () => {
  fs.symlinkSync("../outside", join(root, "a"));
  const before = outside();
  await expect(unpack({ name: "a/canary", content: "x" })).rejects.toThrow("never followed");
  expect(outside()).toEqual(before);
});

test("setuid, setgid and sticky bits are dropped; other modes, times and links are kept; links out are counted", async () => {
  const done = await unpack(
    { name: "./", type: "directory", mode: 0o777 },
    { name: "d", type: "directory", mode: 0o7555, mtimeSeconds: 1_600_000_000 },
    { name: "d/f", content: "hello", mode: 0o7751 },
    { name: "g", type: "hardlink", linkName: "d/f" },
    link("d/in", "f"),
    link("out", "../outside/canary"),
    link("absolute", "/etc/passwd"),
  );
  expect(done).toEqual({ files: 2, directories: 2, links: 3, bytes: 5, linksOut: 2 });
  const of = (name: string) => fs.lstatSync(join(root, name));
  expect([of("d").mode & 0o7777, of("d").mtimeMs]).toEqual([0o555, 1_600_000_000_000]);
  expect([of("d/f").mode & 0o7777, of("d/f").mtimeMs]).toEqual([0o751, 1_700_000_000_000]);
  expect(of("g").ino).toBe(of("d/f").ino);
  expect(fs.readlinkSync(join(root, "absolute"))).toBe("/etc/passwd");
  fs.chmodSync(join(root, "d"), 0o755);
});

test.each([1, 511, 512, 1024, 1500])(
  "an archive that is cut after %i bytes is told to be damaged or short",
  async (at) => {
    const whole = tarOf({ name: "a", content: "x".repeat(600) }, { name: "b", content: "y" });
    await expect(unpackInto(root, pieces(whole.subarray(0, at)))).rejects.toThrow(/is damaged|is cut short/);
    expect(parts()).toEqual([]);
  },
);

test("an archive whose end is missing, or of nothing at all, is cut short", async () => {
  const whole = tarOf({ name: "a", content: "x" });
  await expect(unpackInto(root, pieces(whole.subarray(0, -1024)))).rejects.toThrow("cut short");
  await expect(unpackInto(root, pieces(Buffer.alloc(0)))).rejects.toThrow("cut short");
});

test("headers without end, and bytes without end after the archive's end, are given up", async () => {
  async function* endless(first: Buffer, forever: Buffer) {
    yield first;
    for (;;) yield forever;
  }
  const extended = encodeHeader({
    name: "x".repeat(200),
    type: "file",
    linkName: "",
    mode: 0,
    uid: 0,
    gid: 0,
    sizeBytes: 0,
    mtimeSeconds: 0,
    xattrs: {},
  });
  const prefix = extended.subarray(0, -512);
  await expect(unpackInto(root, endless(prefix, prefix))).rejects.toThrow("headers without end");
  await expect(unpackInto(root, endless(endOfArchive(), Buffer.alloc(65_536)))).rejects.toThrow("headers without end");
});

test("a file larger than the space that is left is refused before it is written", async () => {
  const header = encodeHeader({
    name: "huge",
    type: "file",
    linkName: "",
    mode: 0,
    uid: 0,
    gid: 0,
    sizeBytes: 2 ** 52,
    mtimeSeconds: 0,
    xattrs: {},
  });
  await expect(unpackInto(root, pieces(header))).rejects.toThrow("huge: no space is left on this machine");
  expect(fs.readdirSync(root)).toEqual([]);
});

test("names that are hostile to a terminal are shown harmless", async () => {
  const entry: Entry = { name: "a\u001b[2J\n\u0007", type: "fifo" };
  await expect(unpack(entry)).rejects.toThrow('refused at "a\ufffd[2J\ufffd\ufffd": it is a FIFO');
});

test("whatever the names, links and kinds are, nothing outside of the folder changes", async () => {
  const part = fc.oneof(
    fc.constantFrom("a", "b", "..", ".", "", "outside", "canary", "\xff\xfe"),
    fc.string({ maxLength: 5 }),
  );
  const name = fc.array(part, { minLength: 1, maxLength: 4 }).map((all) => all.join("/"));
  const entry = fc.record({
    name,
    linkName: fc.oneof(name, fc.constantFrom("../outside", "../outside/canary", "a", "..")),
    type: fc.constantFrom(
      "file" as const,
      "file" as const,
      "symlink" as const,
      "hardlink" as const,
      "directory" as const,
    ),
    mode: fc.constantFrom(0o4755, 0o777, 0o600),
    mtimeSeconds: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
    content: fc.constantFrom("", "overwritten"),
  });
  const before = outside();
  await fc.assert(
    fc.asyncProperty(fc.array(entry, { maxLength: 8 }), async (entries) => {
      const latin = entries.map((each) => ({
        ...each,
        name: Buffer.from(each.name).toString("latin1"),
        sizeBytes: each.type === "file" ? each.content.length : 0,
        content: each.type === "file" ? each.content : "",
      }));
      fs.rmSync(root, { recursive: true });
      fs.mkdirSync(root);
      await unpack(...latin).catch((error: Error) => expect(error.name).toBe("UsageFailure"));
      expect(outside()).toEqual(before);
    }),
    { numRuns: 300 },
  );
});
