import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import http from "node:http";
import { buffer } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { post, spawnSandbox, type TestSandbox } from "./api.ts";
import { startServer, type TestServer } from "./server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ config: { "providers.mock.enabled": "true" } });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const compressions = [
  ["none", "application/x-tar", "tar"],
  ["gzip", "application/gzip", "tar.gz"],
  ["zstd", "application/zstd", "tar.zst"],
] as const;

/** What the system's own tar says of an archive. */
const tarList = (archive: Buffer, ...flags: string[]): string =>
  execFileSync("tar", ["--list", ...flags, "--file", "-"], { input: archive, encoding: "utf8", maxBuffer: 1 << 26 });

describe.each(["oci", "mock"])("folders on %s", (provider) => {
  let sandbox: TestSandbox;
  beforeAll(async () => {
    sandbox = await spawnSandbox(server, { provider });
  });
  afterAll(async () => {
    await sandbox[Symbol.asyncDispose]();
  });
  const archiveAt = (path: string, compression = "none") =>
    `${sandbox.url}/files/archive?${new URLSearchParams({ path, compression })}`;
  const sh = async (command: string) => (await sandbox.exec({ command })).body.stdout;

  test.each(compressions)("a folder comes as a tar (%s) that other programs read, and goes back in", async (...row) => {
    const [compression, media, ending] = row;
    await sh("rm -rf from to; mkdir -p from/a/b; echo one > from/a/b/f; chmod 751 from/a/b/f; ln -s a/b/f from/link");
    const read = await fetch(archiveAt("from", compression));
    expect([read.status, read.headers.get("content-type")]).toEqual([200, media]);
    expect(read.headers.get("content-disposition")).toBe(`attachment; filename*=UTF-8''from.${ending}`);
    expect(read.headers.get("content-security-policy")).toContain("sandbox");
    expect(read.headers.get("x-content-type-options")).toBe("nosniff");
    const archive = Buffer.from(await read.arrayBuffer());
    const flags = compression === "none" ? [] : [`--${compression}`];
    expect(
      tarList(archive, ...flags)
        .trim()
        .split("\n")
        .sort(),
    ).toEqual(["./", "a/", "a/b/", "a/b/f", "link"]);
    const written = await fetch(archiveAt("to", compression), { method: "PUT", body: archive });
    expect(await written.json()).toEqual({ status: "unpacked", entries: 5, bytes: 4 });
    expect(await sh("cat to/link; stat -c %a to/a/b/f; readlink to/link")).toBe("one\n751\na/b/f\n");
  });

  test("what no archive can hold is left out and counted behind it", async () => {
    await sh("rm -rf odd; mkdir odd; mkfifo odd/fifo; echo x > odd/file");
    const answer = await new Promise<http.IncomingMessage>((resolve, reject) => {
      http.get(archiveAt("odd"), resolve).on("error", reject);
    });
    expect(tarList(await buffer(answer))).toBe("./\nfile\n");
    expect(answer.trailers).toEqual({ "x-archive-skipped": "1" });
  });

  test("an upload that its client breaks off leaves whole files and no other", async () => {
    const archive = execFileSync("tar", ["--create", "--file", "-", "--directory", "/etc", "passwd"]);
    const big = randomBytes(1 << 20);
    const header = Buffer.from(archive.subarray(0, 512));
    header.write("big\0".padEnd(100, "\0"), 0, "latin1");
    header.write(`${big.length.toString(8).padStart(11, "0")}\0`, 124, "latin1");
    header.write("        ", 148, "latin1");
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
    const head = archive.subarray(
      0,
      512 + Math.ceil(Number.parseInt(archive.toString("latin1", 124, 135), 8) / 512) * 512,
    );
    const request = http.request(archiveAt("broken"), { method: "PUT" });
    request.on("error", () => {});
    request.write(Buffer.concat([head, header, big.subarray(0, 600_000)]));
    const files = async () => (await sh("ls -A broken 2>/dev/null")).trim().split("\n");
    await expect.poll(files, { timeout: 10_000 }).toContainEqual(expect.stringMatching(/^\.stacyvm-.*\.tmp$/));
    request.destroy();
    await expect.poll(files, { timeout: 10_000 }).toEqual(["passwd"]);
  });

  test("what is wrong with an archive is said, with the entry and how many were written", async () => {
    const answer = await fetch(archiveAt("refused"), {
      method: "PUT",
      body: execFileSync("tar", [
        "--create",
        "--absolute-names",
        "--file",
        "-",
        "--directory",
        "/etc",
        "hosts",
        "/etc/passwd",
      ]),
    });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({
      reason: "archive_invalid",
      message: 'entry "/etc/passwd": an absolute name leads out of the folder; entries written before: 1',
    });
    const compressed = await fetch(archiveAt("refused"), {
      method: "PUT",
      body: new Uint8Array([0x1f, 0x8b, 8, 0, 0]),
    });
    expect(await compressed.json()).toMatchObject({
      reason: "archive_invalid",
      message: expect.stringContaining("compression is gzip, not none"),
    });
  });

  test("queries that make no sense name the field and what is allowed", async () => {
    const said = async (query: string, init?: RequestInit) => {
      const answer = await fetch(`${sandbox.url}/files/archive?${query}`, init);
      return [answer.status, ((await answer.json()) as { message: string }).message];
    };
    expect(await said("path=a&compression=xz")).toEqual([400, expect.stringMatching(/compression.*none, gzip, zstd/)]);
    expect(await said("compression=gzip")).toEqual([400, expect.stringContaining("path")]);
    expect(await said("path=a&level=9")).toEqual([400, expect.stringContaining("level")]);
    expect(await said("path=missing")).toEqual([404, expect.stringContaining("/workspace/missing")]);
    expect(await said("path=/proc")).toEqual([400, expect.stringContaining("kernel")]);
    expect(await said("path=/etc/passwd", { method: "PUT", body: "x" })).toEqual([400, expect.any(String)]);
  });

  test("mkdir makes a directory once, with its mode, and its parents when told to", async () => {
    const mkdir = async (body: object) => {
      const answer = await post(`${sandbox.url}/files/mkdir`, body);
      return { status: answer.status, ...((await answer.json()) as object) };
    };
    await sh("rm -rf made; echo > plain");
    expect(await mkdir({ path: "made/deep" })).toMatchObject({ status: 404, reason: "file_not_found" });
    expect(await mkdir({ path: "made/deep", parents: true, mode: "0700" })).toMatchObject({ created: true });
    expect(await mkdir({ path: "made/deep", mode: "0777" })).toMatchObject({ created: false });
    expect(await sh("stat -c %a made made/deep")).toBe("755\n700\n");
    expect(await mkdir({ path: "plain" })).toMatchObject({ status: 409, reason: "already_exists" });
    expect(await mkdir({ path: "plain/below", parents: true })).toMatchObject({
      status: 400,
      reason: "not_a_directory",
    });
    expect(await mkdir({ path: "x", mode: "9" })).toMatchObject({
      status: 400,
      message: expect.stringContaining("mode"),
    });
    expect(await mkdir({ path: "x", recursive: true })).toMatchObject({
      status: 400,
      message: expect.stringContaining("recursive"),
    });
  });

  test("a listing goes as deep as it is told, each directory before what is in it", async () => {
    await sh("rm -rf tree; mkdir -p tree/a/b/c; echo > tree/a/f; echo > tree/a-b");
    const list = async (query: string) => {
      const answer = await fetch(`${sandbox.url}/files/list?path=tree${query}`);
      const found = await answer.json();
      return answer.status === 200 ? (found as { path: string }[]).map(({ path }) => path.slice(16)) : answer.status;
    };
    expect(await list("")).toEqual(["a", "a-b"]);
    expect(await list("&depth=2")).toEqual(["a", "a/b", "a/f", "a-b"]);
    expect(await list("&depth=64")).toEqual(["a", "a/b", "a/b/c", "a/f", "a-b"]);
    expect([await list("&depth=0"), await list("&depth=65"), await list("&depth=x")]).toEqual([400, 400, 400]);
  });

  test("more entries than a listing holds are refused, not cut off", async () => {
    await sh("mkdir many; cd many; seq 1 20001 | xargs touch");
    const answer = await fetch(`${sandbox.url}/files/list?path=many&depth=2`);
    expect([answer.status, await answer.json()]).toEqual([
      429,
      expect.objectContaining({ reason: "sandbox_limit", message: expect.stringContaining("20000") }),
    ]);
    await sh("rm -rf many");
  });

  test("an archive goes from one folder into another as one stream", async () => {
    await sh("rm -rf big copied; mkdir big; truncate -s 150M big/sparse");
    const { body } = await fetch(archiveAt("big"));
    const written = await fetch(archiveAt("copied"), { method: "PUT", body, duplex: "half" } as RequestInit);
    expect(await written.json()).toEqual({ status: "unpacked", entries: 2, bytes: 150 << 20 });
    await sh("rm -rf big copied");
  });
});
