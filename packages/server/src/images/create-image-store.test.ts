import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { storeFixture } from "./images-fixture.ts";
import { tarOf } from "./tar/tar-fixture.ts";

const signal = AbortSignal.timeout(120_000);

async function archive(directory: string, content: string): Promise<string> {
  const file = join(directory, `${content}.tar`);
  await writeFile(file, tarOf({ name: "etc", type: "directory", mode: 0o755 }, { name: "etc/which", content }));
  return file;
}

test("an alias answers with the stored image and is never asked of a registry", async () => {
  await using fixture = await storeFixture({ aliases: { "alpine:latest": "registry.invalid/base" } });
  await expect(fixture.store.ensure("alpine", signal)).rejects.toMatchObject({ reason: "image_not_found" });
  const stored = await fixture.store.importFrom(
    "registry.invalid/base",
    await archive(fixture.directory, "base"),
    signal,
  );
  expect((await fixture.store.ensure("docker.io/library/alpine", signal)).digest).toBe(stored.digest);
});

test("names under stacyvm/ are made here and never pulled", async () => {
  await using fixture = await storeFixture();
  await expect(fixture.store.ensure("stacyvm/base", signal)).rejects.toMatchObject({
    reason: "image_not_found",
    remediation: expect.stringContaining("build-base"),
  });
  await expect(fixture.store.pull("stacyvm/base", signal)).rejects.toMatchObject({ reason: "image_not_found" });
});

test("a tree goes with its last name, and not while a sandbox uses it", async () => {
  await using fixture = await storeFixture();
  const file = await archive(fixture.directory, "x");
  const { digest } = await fixture.store.importFrom("one", file, signal);
  await fixture.store.importFrom("two", file, signal);
  const { rootfsPath } = await fixture.store.ensure("one", signal);
  await fixture.store.remove("one", async () => true);
  expect((await stat(rootfsPath)).isDirectory()).toBe(true);
  await expect(fixture.store.remove("two", async (used) => used === digest)).rejects.toMatchObject({
    reason: "state_conflict",
  });
  expect((await stat(rootfsPath)).isDirectory()).toBe(true);
  await fixture.store.remove("two", async () => false);
  expect(await readdir(join(fixture.directory, "store", "trees"))).toEqual([]);
  expect(await fixture.store.list()).toEqual([]);
  await expect(fixture.store.remove("two", async () => false)).rejects.toMatchObject({ reason: "image_not_found" });
});

test("a new image under an old name takes its place; the old tree goes with the next removal unless a sandbox uses it", async () => {
  await using fixture = await storeFixture();
  const first = await fixture.store.importFrom("name", await archive(fixture.directory, "first"), signal);
  const second = await fixture.store.importFrom("name", await archive(fixture.directory, "second"), signal);
  expect(second.digest).not.toBe(first.digest);
  expect((await fixture.store.ensure("name", signal)).digest).toBe(second.digest);
  await fixture.store.importFrom("other", await archive(fixture.directory, "other"), signal);
  const trees = join(fixture.directory, "store", "trees");
  await fixture.store.remove("other", async (digest) => digest === first.digest);
  expect(new Set(await readdir(trees))).toEqual(
    new Set([first.digest, second.digest].map((digest) => digest.slice(7))),
  );
  await fixture.store.remove("name", async () => false);
  expect(await readdir(trees)).toEqual([]);
});

test("what a process that ended left half made is gone at the next start; a living one's work stays", async () => {
  await using fixture = await storeFixture();
  const tmp = join(fixture.directory, "store", "tmp");
  const living = join(tmp, `${process.ppid}.${await startTimeOf(process.ppid)}.abc`);
  await mkdir(join(tmp, "999999999.1.abcdef", "rootfs"), { recursive: true });
  await mkdir(join(tmp, `${process.ppid}.1.abc`)); // A process that took over the number.
  await mkdir(join(tmp, "strange"));
  await mkdir(living);
  await fixture.reopen();
  expect(await readdir(tmp)).toEqual([living.slice(tmp.length + 1)]);
});

async function startTimeOf(pid: number): Promise<string> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8");
  return text.slice(text.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}

test("twenty imports of one archive at once under different names share one tree", async () => {
  await using fixture = await storeFixture();
  const file = await archive(fixture.directory, "same");
  const names = Array.from({ length: 20 }, (_, i) => `name${i}`);
  const stored = await Promise.all(names.map((name) => fixture.store.importFrom(name, file, signal)));
  expect(new Set(stored.map(({ digest }) => digest)).size).toBe(1);
  expect(await readdir(join(fixture.directory, "store", "trees"))).toHaveLength(1);
  expect(await fixture.store.list()).toHaveLength(20);
});

test("the store is closed to every other user of the host", async () => {
  await using fixture = await storeFixture();
  for (const name of ["", "trees", "refs", "tmp", "locks"]) {
    expect((await stat(join(fixture.directory, "store", name))).mode & 0o7777).toBe(0o700);
  }
});

test("a process killed while it imports leaves nothing that looks finished, and the next start clears its rest", async () => {
  await using fixture = await storeFixture();
  const file = join(fixture.directory, "large.tar");
  await writeFile(file, tarOf({ name: "large", content: "x".repeat(64 * 1024 * 1024) }));
  const storeDir = join(fixture.directory, "store");
  const program = `
    import { createImageStore } from ${JSON.stringify(new URL("create-image-store.ts", import.meta.url).href)};
    const store = await createImageStore({ storeDir: ${JSON.stringify(storeDir)}, clock: { now: () => 0 } });
    await store.importFrom("large", ${JSON.stringify(file)}, AbortSignal.timeout(60_000));
  `;
  const child = spawn(process.execPath, ["--input-type=module-typescript", "--eval", program], { stdio: "ignore" });
  const exited = once(child, "exit");
  await expect
    .poll(() => readdir(join(storeDir, "tmp"), { recursive: true }), { timeout: 20_000, interval: 1 })
    .toContainEqual(expect.stringContaining("layer"));
  child.kill("SIGKILL");
  await exited;
  expect(await readdir(join(storeDir, "tmp"))).toHaveLength(1);
  const store = await fixture.reopen();
  for (const name of ["trees", "refs", "tmp"]) expect(await readdir(join(storeDir, name))).toEqual([]);
  expect((await store.importFrom("large", file, signal)).reference).toBe("docker.io/library/large:latest");
});
