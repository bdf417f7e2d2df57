import { randomBytes } from "node:crypto";
import { lstat, mkdir, readdir, readFile, readlink, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { StacyError } from "@stacyvm/contract";
import { expect, test } from "vitest";
import type { ImageStoreOptions } from "./create-image-store.ts";
import { busyboxTree, ociLayout, runFixtureTool, storeFixture } from "./images-fixture.ts";
import { type FixtureEntry, tarOf } from "./tar/tar-fixture.ts";

const signal = AbortSignal.timeout(300_000);

/** Imports an archive made of these entries and returns the tree's path. */
async function importEntries(fixture: Awaited<ReturnType<typeof storeFixture>>, ...entries: FixtureEntry[]) {
  const file = join(fixture.directory, "archive.tar");
  await writeFile(file, tarOf(...entries));
  await fixture.store.importFrom("test/image", file, signal);
  return (await fixture.store.ensure("test/image", signal)).rootfsPath;
}

test("a root file system comes in from tar, plain and compressed three ways, and is one tree for all four", async () => {
  await using fixture = await storeFixture();
  const tree = await busyboxTree(fixture.directory);
  const tar = join(fixture.directory, "rootfs.tar");
  await runFixtureTool("tar", ["-C", tree, "-cf", tar, "."]);
  const plain = await readFile(tar);
  await writeFile(join(fixture.directory, "gzip"), gzipSync(plain));
  await writeFile(join(fixture.directory, "zstd"), zstdCompressSync(plain));
  await runFixtureTool("xz", ["--keep", "-0", tar]);
  const digests = [];
  for (const name of ["rootfs.tar", "gzip", "zstd", "rootfs.tar.xz"]) {
    digests.push((await fixture.store.importFrom("busybox", join(fixture.directory, name), signal)).digest);
  }
  expect(new Set(digests).size).toBe(1);
  const { rootfsPath } = await fixture.store.ensure("busybox", signal);
  const { stdout } = await runFixtureTool("chroot", [rootfsPath, "/bin/sh", "-c", "echo works"]);
  expect(stdout).toBe("works\n");
  expect((await stat(rootfsPath)).mode & 0o7777).toBe(0o755);
});

test("an OCI layout comes in as directory and as tar, a Docker archive as tar, with whiteouts, hard links and env", async () => {
  await using fixture = await storeFixture();
  const lower = tarOf(
    { name: "etc", type: "directory", mode: 0o755 },
    { name: "etc/gone", content: "lower" },
    { name: "etc/kept", content: "kept" },
    { name: "old", type: "directory", mode: 0o755 },
    { name: "old/a", content: "a" },
    { name: "one", content: "shared" },
    { name: "two", type: "hardlink", linkName: "one" },
  );
  const upper = tarOf(
    { name: "etc/.wh.gone" },
    { name: "old", type: "directory", mode: 0o755 },
    { name: "old/.wh..wh..opq" },
    { name: "old/b", content: "b" },
  );
  const layout = await ociLayout(fixture.directory, [lower, upper]);
  const ociTar = join(fixture.directory, "oci.tar");
  await runFixtureTool("tar", ["-C", layout, "-cf", ociTar, "."]);
  const docker = join(fixture.directory, "docker.tar");
  await runFixtureTool("skopeo", [
    "--insecure-policy",
    "copy",
    `oci:${layout}:image`,
    `docker-archive:${docker}:a/b:1`,
  ]);
  for (const source of [layout, ociTar, docker]) {
    const { digest } = await fixture.store.importFrom("layered", source, signal);
    const root = await fixture.store.ensure("layered", signal);
    expect(root).toMatchObject({ digest, env: { GREETING: "hello world" } });
    expect((await readdir(join(root.rootfsPath, "etc"))).sort()).toEqual(["kept"]);
    expect(await readdir(join(root.rootfsPath, "old"))).toEqual(["b"]);
    const [one, two] = await Promise.all(["one", "two"].map((name) => stat(join(root.rootfsPath, name))));
    expect(one?.ino).toBe(two?.ino);
  }
  expect(await fixture.store.list()).toHaveLength(1);
});

test("owner, mode, links and awkward names stay; device nodes and foreign attributes don't", async () => {
  await using fixture = await storeFixture();
  const root = await importEntries(
    fixture,
    { name: "./", type: "directory", mode: 0o700, uid: 5 },
    { name: "bin", type: "directory", mode: 0o755 },
    { name: "bin/su", content: "x", mode: 0o4755, uid: 0 },
    { name: "home file", content: "y", mode: 0o600, uid: 1000, gid: 1001 },
    { name: "-rf\n|", content: "z" },
    { name: "link", type: "symlink", linkName: "../../../../etc/shadow" },
    { name: "pipe", type: "fifo" },
    { name: "sda", type: "block" },
    { name: "mem", type: "char" },
  );
  expect(await lstat(join(root, "bin/su"))).toMatchObject({ mode: 0o104755, uid: 0 });
  expect(await lstat(join(root, "home file"))).toMatchObject({ mode: 0o100600, uid: 1000, gid: 1001 });
  expect(await readFile(join(root, "-rf\n|"), "utf8")).toBe("z");
  expect(await readlink(join(root, "link"))).toBe("../../../../etc/shadow");
  expect(await stat(root)).toMatchObject({ mode: 0o40755, uid: 0 });
  expect((await readdir(root)).sort()).toEqual(["-rf\n|", "bin", "home file", "link", "pipe"]);
});

test("set-uid files of an image are out of reach of the host's other users", async () => {
  await using fixture = await storeFixture();
  const root = await importEntries(fixture, { name: "su", content: "x", mode: 0o4755 });
  const read = runFixtureTool("setpriv", ["--reuid=65534", "--regid=65534", "--clear-groups", "cat", join(root, "su")]);
  await expect(read).rejects.toThrow(/Permission denied/);
});

const canary = "untouched";
test.each<readonly [string, (outside: string) => FixtureEntry[]]>([
  ["a name that climbs", (outside) => [{ name: `../../../../../../..${outside}`, content: "broken" }]],
  ["an absolute name", (outside) => [{ name: outside, content: "broken" }]],
  [
    "a file through a symbolic link",
    (outside) => [
      { name: "door", type: "symlink", linkName: outside },
      { name: "door", content: "broken" },
      { name: "way", type: "symlink", linkName: join(outside, "..") },
      { name: "way/canary", content: "broken" },
      { name: "up", type: "symlink", linkName: "../../../../../../../../.." },
      { name: `up${outside}`, content: "broken" },
    ],
  ],
  [
    "a hard link to a file outside",
    (outside) => [
      { name: "hard", type: "hardlink", linkName: outside },
      { name: "hard", content: "broken" },
    ],
  ],
  [
    "a hard link through a symbolic link",
    (outside) => [
      { name: "way", type: "symlink", linkName: join(outside, "..") },
      { name: "hard", type: "hardlink", linkName: "way/canary" },
      { name: "hard", content: "broken", mode: 0o777 },
    ],
  ],
  [
    "a whiteout through a symbolic link",
    (outside) => [
      { name: "way", type: "symlink", linkName: join(outside, "..") },
      { name: "way/.wh.canary" },
      { name: "way/.wh..wh..opq" },
    ],
  ],
  [
    "a directory's mode through a symbolic link",
    (outside) => [
      { name: "way", type: "symlink", linkName: join(outside, "..") },
      { name: "way", type: "directory", mode: 0o777, uid: 7 },
    ],
  ],
])("nothing outside the tree changes: %s", async (_, entriesFor) => {
  await using fixture = await storeFixture();
  const outside = join(fixture.directory, "outside");
  await mkdir(outside, { mode: 0o755 });
  await writeFile(join(outside, "canary"), canary);
  const before = await lstat(outside);
  await importEntries(fixture, ...entriesFor(join(outside, "canary"))).catch((error: unknown) => {
    expect(error).toBeInstanceOf(StacyError);
    expect((error as StacyError).reason).toBe("invalid_input");
  });
  expect(await readdir(outside)).toEqual(["canary"]);
  expect(await readFile(join(outside, "canary"), "utf8")).toBe(canary);
  expect(await lstat(outside)).toMatchObject({ mode: before.mode, uid: before.uid, mtimeMs: before.mtimeMs });
  expect((await lstat(join(outside, "canary"))).nlink).toBe(1);
});

test("a refused archive leaves neither tree nor name nor temporary files", async () => {
  await using fixture = await storeFixture();
  await expect(importEntries(fixture, { name: "ok", content: "x" }, { name: "../bad" })).rejects.toThrow(/climbs/);
  for (const name of ["trees", "refs", "tmp"])
    expect(await readdir(join(fixture.directory, "store", name))).toEqual([]);
});

test.each(["none", "gzip", "zstd", "xz"])("a refused archive (%s) leaves no file open", async (compression) => {
  await using fixture = await storeFixture();
  // What is refused stands in front of more than is read ahead.
  const noise = { name: "noise", content: randomBytes(4 * 1024 ** 2).toString("latin1") };
  const tar = join(fixture.directory, "refused.tar");
  await writeFile(tar, tarOf({ name: "../out", content: "x" }, noise));
  const suffix = { none: "", gzip: ".gz", zstd: ".zst", xz: ".xz" }[compression];
  if (compression === "xz") await runFixtureTool("xz", ["-0", tar]);
  else if (compression === "gzip") await writeFile(`${tar}.gz`, gzipSync(await readFile(tar)));
  else if (compression === "zstd") await writeFile(`${tar}.zst`, zstdCompressSync(await readFile(tar)));
  await expect(fixture.store.importFrom("app", `${tar}${suffix}`, signal)).rejects.toMatchObject({
    reason: "invalid_input",
  });
  await expect.poll(() => openFiles(fixture.directory)).toEqual([]);
});

/** Files below a directory that this process has open. */
async function openFiles(directory: string): Promise<string[]> {
  const paths = (await readdir("/proc/self/fd")).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ""));
  return (await Promise.all(paths)).filter((path) => path.startsWith(directory));
}

test.each<readonly [string, Partial<ImageStoreOptions>]>([["bytes", { maxUnpackedBytes: 10_000 }]])(
  "an archive that unpacks to more than the limit of %s is refused, however small it is packed",
  async (_, options) => {
    await using fixture = await storeFixture(options);
    const bomb = join(fixture.directory, "bomb");
    await writeFile(bomb, gzipSync(tarOf({ name: "zeros", content: "\0".repeat(1_000_000) })));
    expect((await stat(bomb)).size).toBeLessThan(5_000);
    await expect(fixture.store.importFrom("bomb", bomb, signal)).rejects.toThrow(/larger than the limit/);
  },
);

test("an OCI archive whose blob is not what its digest says is refused", async () => {
  await using fixture = await storeFixture();
  const layout = await ociLayout(fixture.directory, [tarOf({ name: "a", content: "a" })]);
  const blobs = join(layout, "blobs", "sha256");
  const manifests = await Promise.all(
    (await readdir(blobs)).map(async (name) => ({ name, bytes: await readFile(join(blobs, name)) })),
  );
  const layer = manifests.find(({ bytes }) => bytes[0] === 0x1f);
  await writeFile(join(blobs, layer?.name ?? ""), gzipSync(tarOf({ name: "a", content: "b" })));
  await expect(fixture.store.importFrom("tampered", layout, signal)).rejects.toThrow(/not sha256:.* as stated/);
});

test("a layout's blob that is a symbolic link is not followed", async () => {
  await using fixture = await storeFixture();
  const layout = join(fixture.directory, "linked");
  await mkdir(join(layout, "blobs", "sha256"), { recursive: true });
  const digest = "a".repeat(64);
  await symlink("/etc/shadow", join(layout, "blobs", "sha256", digest));
  await writeFile(join(layout, "index.json"), JSON.stringify({ manifests: [{ digest: `sha256:${digest}` }] }));
  await expect(fixture.store.importFrom("linked", layout, signal)).rejects.toThrow(/ELOOP/);
});

test("what is no archive, a missing file, a FIFO and a device are each refused as invalid_input", async () => {
  await using fixture = await storeFixture();
  const text = join(fixture.directory, "text");
  await writeFile(text, "hello, this is not an archive".repeat(100));
  const pipe = join(fixture.directory, "pipe");
  await runFixtureTool("mkfifo", [pipe]);
  for (const source of [text, join(fixture.directory, "absent"), pipe, "/dev/zero", fixture.directory]) {
    await expect(fixture.store.importFrom("x", source, signal), source).rejects.toMatchObject({
      reason: "invalid_input",
    });
  }
});
