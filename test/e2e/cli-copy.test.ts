import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import fs from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { Client, type Sandbox } from "../../packages/sdk/src/index.ts";
import { launcher, runProgram } from "./cli-process.ts";
import { startServer, type TestServer } from "./server.ts";

let server: TestServer;
let sandbox: Sandbox;
let here = "";
beforeAll(async () => {
  server = await startServer();
  sandbox = await new Client(server.url).spawn();
});
afterAll(async () => {
  await sandbox?.destroy();
  await server?.[Symbol.asyncDispose]();
});
beforeEach(() => {
  here = fs.mkdtempSync(join(server.dataDir, "here-"));
});

const environment = () => ({
  STACYVM_SERVER: server.url,
  XDG_STATE_HOME: join(server.dataDir, "state"),
  NO_COLOR: "1",
});
const cp = (...words: readonly string[]) => runProgram(launcher, ["cp", ...words], { cwd: here, env: environment() });
const there = (path: string) => `${sandbox.id}:${path}`;
const sh = async (command: string) => expect((await sandbox.exec(command)).exit_code).toBe(0);
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** Kind, mode, size or target of everything below a folder, by name. */
const treeOf = (folder: string): readonly string[] =>
  fs
    .readdirSync(folder, { recursive: true, encoding: "utf8" })
    .sort()
    .map((name) => {
      const stats = fs.lstatSync(join(folder, name));
      const mode = (stats.mode & 0o777).toString(8);
      if (stats.isSymbolicLink()) return `${name} -> ${fs.readlinkSync(join(folder, name))}`;
      return stats.isDirectory()
        ? `${name}/ ${mode}`
        : `${name} ${mode} ${sha256(fs.readFileSync(join(folder, name)))}`;
    });

test("a folder comes back as it went, whatever its names, modes and links", async () => {
  const folder = join(here, "folder");
  fs.mkdirSync(join(folder, "deep/er"), { recursive: true });
  for (const name of ["a b", "new\nline", "-rf", "😀", "'\"|", "deep/er/x"]) fs.writeFileSync(join(folder, name), name);
  fs.writeFileSync(join(folder, "run"), "#!/bin/sh\n", { mode: 0o755 });
  fs.writeFileSync(join(folder, "private"), randomBytes(300_000), { mode: 0o600 });
  fs.mkdirSync(join(folder, "empty"), { mode: 0o700 });
  fs.symlinkSync("deep/er/x", join(folder, "link"));
  fs.symlinkSync("nowhere", join(folder, "dangling"));
  const sent = await cp("folder", there("/tmp"));
  expect(sent).toMatchObject({ status: 0, stderr: "", stdout: "Copied 8 files, 4 folders, 2 links (300 kB)\n" });
  expect((await cp(there("/tmp/folder"), "back")).status).toBe(0);
  expect(treeOf(join(here, "back"))).toEqual(treeOf(folder));
});

test("a file goes under a new name, into a folder that is there, and through standard input and output", async () => {
  fs.writeFileSync(join(here, "file"), "content", { mode: 0o640 });
  expect((await cp("file", there("renamed"))).status).toBe(0);
  expect(await sandbox.files.stat("renamed")).toMatchObject({ size: 7, mode: "0640" });
  await sh("mkdir -p into");
  expect((await cp("file", there("into"))).status).toBe(0);
  expect(await cp(there("into/file"), "-")).toMatchObject({ status: 0, stdout: "content", stderr: "" });
  expect((await cp(there("into/file"), "down")).status).toBe(0);
  expect(treeOf(here)).toEqual(["down", "file"].map((name) => `${name} 640 ${sha256(Buffer.from("content"))}`));
  const piped = { cwd: here, env: environment(), stdin: "from a pipe" };
  expect((await runProgram(launcher, ["cp", "-", there("piped")], piped)).status).toBe(0);
  expect(await sandbox.files.readText("piped")).toBe("from a pipe");
});

test("several sources go into a folder, and --json tells what was moved", async () => {
  for (const name of ["one", "two"]) fs.writeFileSync(join(here, name), name);
  await sh("mkdir -p several");
  const ran = await cp("one", "two", there("several"), "--json");
  expect(JSON.parse(ran.stdout)).toEqual({
    files: 2,
    directories: 0,
    links: 0,
    bytes: 6,
    seconds: expect.any(Number),
  });
  fs.mkdirSync(join(here, "got"));
  expect((await cp(there("several/one"), there("several/two"), "got", "--quiet")).stdout).toBe("");
  expect(fs.readdirSync(join(here, "got")).sort()).toEqual(["one", "two"]);
});

test("a sandbox's archive writes nothing outside of the folder that it was asked for", async () => {
  const canary = join(here, "canary");
  fs.mkdirSync(canary);
  fs.writeFileSync(join(canary, "kept"), "untouched");
  fs.mkdirSync(join(here, "target"));
  // What an earlier copy may have left: a link out of the folder under a name that the sandbox fills.
  fs.symlinkSync(canary, join(here, "target/out"));
  await sh("rm -rf evil && mkdir -p evil/out && echo changed > evil/out/kept");
  const ran = await cp(there("evil/."), "target");
  expect(ran).toMatchObject({ status: 1, stderr: expect.stringContaining("symlinks are never followed") });
  expect(treeOf(canary)).toEqual([`kept 644 ${sha256(Buffer.from("untouched"))}`]);
});

/** Runs the copy and kills it, with its launcher, as soon as the condition holds. */
const killedWhen = async (words: readonly string[], condition: () => boolean | Promise<boolean>): Promise<void> => {
  let group = 0;
  const env = environment();
  const run = runProgram(launcher, ["cp", ...words], { cwd: here, env, onStart: (pid) => (group = pid) });
  await expect.poll(condition, { interval: 2, timeout: 20_000 }).toBe(true);
  process.kill(-group, "SIGKILL");
  expect((await run).status).toBeNull();
};

const bytesWritten = (): number =>
  fs
    .readdirSync(here)
    .filter((name) => name.endsWith(".stacyvm-part"))
    .reduce((sum, name) => sum + fs.statSync(join(here, name)).size, 0);

test("a download that was killed goes on from what is there", async () => {
  await sh("rm -rf large && dd if=/dev/urandom of=large bs=1M count=300 2>/dev/null");
  await killedWhen([there("large"), "large"], () => bytesWritten() > 10_000_000);
  expect(fs.existsSync(join(here, "large"))).toBe(false);
  const [part] = fs.readdirSync(here).filter((name) => name.endsWith(".stacyvm-part"));
  const had = fs.statSync(join(here, part ?? ""));
  expect((await cp(there("large"), "large")).status).toBe(0);
  // The same file was filled further, not another one begun.
  expect(fs.statSync(join(here, "large")).ino).toBe(had.ino);
  const { stdout } = await sandbox.exec("sha256sum large");
  expect(stdout.split(" ")[0]).toBe(sha256(fs.readFileSync(join(here, "large"))));
  expect(bytesWritten()).toBe(0);
});

test("an upload that was killed goes on from what has arrived, and its checksum covers all of it", async () => {
  const bytes = randomBytes(200 << 20);
  fs.writeFileSync(join(here, "up"), bytes);
  const states = () => fs.readdirSync(join(server.dataDir, "state/stacyvm/uploads")).length;
  const arrived = async () => {
    const { stdout } = await sandbox.exec("find . -maxdepth 1 -name '.*' -type f -size +20000k");
    return stdout !== "";
  };
  await killedWhen(["up", there("up")], arrived);
  expect(states()).toBe(1);
  expect((await cp("up", there("up"))).status).toBe(0);
  expect(states()).toBe(0);
  const { stdout } = await sandbox.exec("sha256sum up");
  expect(stdout.split(" ")[0]).toBe(sha256(bytes));
});

test("a link that an earlier copy left under the next one's name is not followed", async () => {
  const outside = join(here, "outside");
  fs.mkdirSync(outside);
  await sh(
    `rm -rf trap second && mkdir trap second && ln -s ${outside} trap/second && echo planted > second/authorized_keys`,
  );
  expect((await cp(there("trap"), "got")).status).toBe(0);
  const ran = await cp(there("second"), "got");
  expect(ran).toMatchObject({ status: 1, stderr: expect.stringContaining("is a symlink, which isn't followed") });
  expect(fs.readdirSync(outside)).toEqual([]);
  // A file takes the link's place.
  await sh("rm -rf file-trap && mkdir file-trap && ln -s /etc/hostname file-trap/one && echo mine > one");
  expect((await cp(there("file-trap/."), "got")).status).toBe(0);
  expect((await cp(there("one"), "got")).status).toBe(0);
  expect(fs.lstatSync(join(here, "got/one")).isFile()).toBe(true);
  expect(fs.readFileSync(join(here, "got/one"), "utf8")).toBe("mine\n");
});

test("what is no file here keeps its place", async () => {
  await sh("echo x > taken");
  execFileSync("mkfifo", [join(here, "fifo")]);
  execFileSync("mknod", [join(here, "null"), "c", "1", "3"]);
  fs.symlinkSync("null", join(here, "link"));
  for (const name of ["fifo", "null", "link"]) {
    const ran = await cp(there("taken"), name);
    expect(ran, name).toMatchObject({ status: 1, stderr: expect.stringContaining("is no regular file") });
  }
  expect(fs.lstatSync(join(here, "fifo")).isFIFO()).toBe(true);
  expect(fs.lstatSync(join(here, "null")).isCharacterDevice()).toBe(true);
});

test("a part that is another file's second name is not written into", async () => {
  await sh("rm -rf large && dd if=/dev/urandom of=large bs=1M count=300 2>/dev/null");
  await killedWhen([there("large"), "large"], () => bytesWritten() > 10_000_000);
  const [part = ""] = fs.readdirSync(here).filter((name) => name.endsWith(".stacyvm-part"));
  fs.linkSync(join(here, part), join(here, "second-name"));
  const ran = await cp(there("large"), "large");
  expect(ran).toMatchObject({ status: 1, stderr: expect.stringContaining(`${part}`) });
  expect(fs.existsSync(join(here, "large"))).toBe(false);
});

test("a copy that Ctrl-C ends says that the same command goes on", async () => {
  await sh("rm -rf large && dd if=/dev/urandom of=large bs=1M count=300 2>/dev/null");
  let group = 0;
  const env = environment();
  const run = runProgram(launcher, ["cp", there("large"), "large"], {
    cwd: here,
    env,
    onStart: (pid) => (group = pid),
  });
  await expect.poll(() => bytesWritten() > 10_000_000, { interval: 2, timeout: 20_000 }).toBe(true);
  process.kill(-group, "SIGINT");
  expect(await run).toMatchObject({
    status: 130,
    stderr: expect.stringContaining("The same command goes on from there"),
  });
});

test("what can't be copied is said in words, and nothing is left half", async () => {
  fs.writeFileSync(join(here, "file"), "x");
  fs.mkdirSync(join(here, "folder"));
  execFileSync("mkfifo", [join(here, "folder/fifo")]);
  await sh("echo x > taken");
  const failures = [
    [["missing", there("x")], "no such file or folder on this machine"],
    [[there("missing"), "x"], "missing"],
    [["folder", there("taken")], "is a file"],
    [["file", "other"], "one side is in a sandbox"],
    [["file", "sb-0000000000000000:x"], "sandbox"],
    [["only"], "copy what to where"],
    [[there("taken"), "nowhere/deep/x"], "on this machine"],
    [["file", there("taken/below")], "taken"],
  ] as const;
  for (const [words, said] of failures) {
    expect(await cp(...words), words.join(" ")).toMatchObject({ status: 1, stderr: expect.stringContaining(said) });
  }
  expect(fs.readdirSync(here).sort()).toEqual(["file", "folder"]);
  expect(await cp("folder", there("/tmp/skips"))).toMatchObject({
    status: 0,
    stderr: expect.stringContaining("a FIFO can't be copied"),
  });
});
