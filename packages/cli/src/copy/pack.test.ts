import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Copied } from "./copied.ts";
import { pack } from "./pack.ts";
import { unpackInto } from "./unpack.ts";

let home = "";
let from = "";
let to = "";
beforeEach(() => {
  home = fs.mkdtempSync(join(tmpdir(), "stacyvm-pack-"));
  [from, to] = [join(home, "from"), join(home, "to")];
  fs.mkdirSync(from);
  fs.mkdirSync(to);
});
afterEach(() => fs.rmSync(home, { recursive: true, force: true }));

const copy = async (isFollowing = false) => {
  const skipped: string[] = [];
  const done: Copied = { files: 0, directories: 0, links: 0, bytes: 0 };
  const onSkip = (name: string, why: string) => void skipped.push(`${name.replace(home, "")}: ${why}`);
  await unpackInto(to, pack(from, { isFollowing, onSkip }, done));
  return { done, skipped };
};

/** Every entry by its raw name, with what should come through. */
const entries = (folder: string): readonly unknown[] => {
  const below = (path: Buffer): readonly unknown[] =>
    fs
      .readdirSync(path, { encoding: "buffer" })
      .sort(Buffer.compare)
      .flatMap((name) => {
        const full = Buffer.concat([path, Buffer.from("/"), name]);
        const stats = fs.lstatSync(full);
        const content = stats.isFile()
          ? fs.readFileSync(full).toString("hex").slice(0, 100)
          : stats.isSymbolicLink()
            ? fs.readlinkSync(full, { encoding: "buffer" }).toString("latin1")
            : "";
        const told = [
          full.subarray(folder.length).toString("latin1"),
          stats.mode,
          Math.floor(stats.mtimeMs / 1000),
          content,
        ];
        return [told, ...(stats.isDirectory() ? below(full) : [])];
      });
  return below(Buffer.from(folder));
};

test("a folder of odd names, modes, times and links comes through as it was", async () => {
  const names = ["plain", "ä ö", "-rf", "new\nline", "tab\t\x1b[31m", "a".repeat(255), "..hidden", "sb-1:x", "*"].map(
    (name) => Buffer.from(name),
  );
  for (const [at, name] of [...names, Buffer.from([0x61, 0xff, 0xfe])].entries()) {
    const path = Buffer.concat([Buffer.from(`${from}/`), name]);
    fs.writeFileSync(path, "x".repeat(at * 300), { mode: 0o600 + at });
    fs.utimesSync(path, 1_600_000_000 + at, 1_600_000_000 + at);
  }
  fs.mkdirSync(join(from, "deep/er/empty"), { recursive: true });
  fs.chmodSync(join(from, "deep/er"), 0o750);
  fs.symlinkSync("../../plain", join(from, "deep/er/link"));
  fs.symlinkSync("nowhere", join(from, "dangling"));
  fs.linkSync(join(from, "plain"), join(from, "deep/second name"));
  fs.writeFileSync(join(from, "large"), Buffer.alloc(700_000, 7));
  const { done, skipped } = await copy();
  expect(entries(to)).toEqual(entries(from));
  expect([done.files, done.directories, done.links, skipped]).toEqual([12, 4, 2, []]);
  expect(fs.statSync(join(to, "plain")).ino).toBe(fs.statSync(join(to, "deep/second name")).ino);
});

test("FIFOs and sockets are skipped and told; tar reads what is sent", async () => {
  execFileSync("mkfifo", [join(from, "fifo")]);
  fs.writeFileSync(join(from, "file"), "x");
  const socket = createServer().listen(join(from, "socket"));
  await new Promise((resolve) => socket.on("listening", resolve));
  const { skipped } = await copy();
  const chunks: Buffer[] = [];
  const done: Copied = { files: 0, directories: 0, links: 0, bytes: 0 };
  for await (const chunk of pack(from, { isFollowing: false, onSkip: () => {} }, done)) chunks.push(chunk);
  socket.close();
  expect(skipped).toEqual(["/from/fifo: a FIFO can't be copied", "/from/socket: a socket can't be copied"]);
  expect(fs.readdirSync(to)).toEqual(["file"]);
  expect(execFileSync("tar", ["t"], { input: Buffer.concat(chunks), encoding: "utf8" })).toBe("./\nfile\n");
});

test("followed links are what they lead to; one to nothing is skipped, one that goes in circles refused", async () => {
  fs.writeFileSync(join(home, "elsewhere"), "from elsewhere");
  fs.symlinkSync("../elsewhere", join(from, "link"));
  fs.symlinkSync("nowhere", join(from, "dangling"));
  const { skipped } = await copy(true);
  expect(skipped).toEqual(["/from/dangling: the link leads to nothing"]);
  expect([fs.lstatSync(join(to, "link")).isFile(), fs.readFileSync(join(to, "link"), "utf8")]).toEqual([
    true,
    "from elsewhere",
  ]);
  fs.mkdirSync(join(from, "sub"));
  fs.symlinkSync("..", join(from, "sub/up"));
  await expect(copy(true)).rejects.toThrow("is a link to a folder that it stands in");
});

test("a file that shrinks while it is read is filled up with zeros, and told", async () => {
  const path = join(from, "a");
  fs.writeFileSync(path, Buffer.alloc(400_000, 1));
  fs.writeFileSync(join(from, "b"), "after");
  const skipped: string[] = [];
  const done: Copied = { files: 0, directories: 0, links: 0, bytes: 0 };
  const onBytes = () => fs.truncateSync(path, 1000);
  await unpackInto(to, pack(from, { isFollowing: false, onSkip: (_, why) => void skipped.push(why), onBytes }, done));
  expect([fs.statSync(join(to, "a")).size, fs.readFileSync(join(to, "b"), "utf8")]).toEqual([400_000, "after"]);
  expect(skipped).toEqual(["it became shorter while it was read; zeros stand for the rest"]);
});

test("a file of holes takes no more space here than there", async () => {
  fs.writeFileSync(join(from, "sparse"), "x");
  fs.truncateSync(join(from, "sparse"), 64 * 1024 * 1024);
  await copy();
  const { size, blocks } = fs.statSync(join(to, "sparse"));
  expect([size, blocks * 512 < 1024 * 1024]).toEqual([64 * 1024 * 1024, true]);
});
