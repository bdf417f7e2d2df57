import { createHash, randomBytes } from "node:crypto";
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

const at = (sandbox: TestSandbox, path: string, route = "files") =>
  `${sandbox.url}/${route}?path=${encodeURIComponent(path)}`;

describe.each(["oci", "mock"])("files on %s", (provider) => {
  let sandbox: TestSandbox;
  beforeAll(async () => {
    sandbox = await spawnSandbox(server, { provider });
  });
  afterAll(async () => {
    await sandbox[Symbol.asyncDispose]();
  });
  const put = (path: string, body: string | Uint8Array<ArrayBuffer>, query = "") =>
    fetch(at(sandbox, path) + query, { method: "PUT", body });

  test("raw bytes come back as they went, with their mode, and parents are made", async () => {
    const bytes = randomBytes(300_000);
    expect((await put("deep/er/blob", bytes, "&mode=0751")).status).toBe(200);
    const back = await fetch(at(sandbox, "/workspace/deep/er/blob"));
    expect(Buffer.from(await back.arrayBuffer()).equals(bytes)).toBe(true);
    expect(await (await fetch(at(sandbox, "deep/er/blob", "files/stat"))).json()).toMatchObject({
      path: "/workspace/deep/er/blob",
      size: 300_000,
      mode: "0751",
      is_dir: false,
    });
  });

  test.each(["a b", "new\nline", "it's", '"q"', "pipe|", "-rf", "😀", "100%", "a&b=c", "#x"])(
    "the name %j works everywhere",
    async (name) => {
      expect((await put(name, name)).status).toBe(200);
      expect(await (await fetch(at(sandbox, name))).text()).toBe(name);
      const moved = await post(`${sandbox.url}/files/move`, { old_path: name, new_path: `moved/${name}` });
      expect(moved.status).toBe(200);
      const listed = (await (await fetch(at(sandbox, "moved", "files/list"))).json()) as { path: string }[];
      expect(listed.map(({ path }) => path)).toEqual([`/workspace/moved/${name}`]);
      expect((await fetch(`${at(sandbox, "moved")}&recursive=true`, { method: "DELETE" })).status).toBe(200);
    },
  );

  test("ranges, conditions and HEAD answer as HTTP says", async () => {
    await put("digits", "0123456789");
    const part = await fetch(at(sandbox, "digits"), { headers: { range: "bytes=2-4" } });
    expect([part.status, await part.text(), part.headers.get("content-range")]).toEqual([206, "234", "bytes 2-4/10"]);
    const whole = await fetch(at(sandbox, "digits"));
    const etag = whole.headers.get("etag") ?? "";
    await whole.arrayBuffer();
    const again = await fetch(at(sandbox, "digits"), { headers: { "if-none-match": etag } });
    expect([again.status, await again.text()]).toEqual([304, ""]);
    const head = await fetch(at(sandbox, "digits"), { method: "HEAD" });
    expect([head.status, head.headers.get("content-length"), head.headers.get("etag")]).toEqual([200, "10", etag]);
    const beyond = await fetch(at(sandbox, "digits"), { headers: { range: "bytes=20-" } });
    expect([beyond.status, ((await beyond.json()) as { reason: string }).reason]).toEqual([
      416,
      "range_not_satisfiable",
    ]);
  });

  test("hostile HTML and SVG are served as attachments that no browser runs", async () => {
    for (const name of ["evil.html", "evil.svg"]) {
      await put(name, "<script>fetch('/api/v1/sandboxes')</script>");
      const { headers } = await fetch(at(sandbox, name));
      expect(headers.get("content-type")).toBe("application/octet-stream");
      expect(headers.get("content-disposition")).toMatch(/^attachment/);
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("content-security-policy")).toMatch(/^sandbox/);
    }
  });

  test("what is no file is refused quickly and doesn't hurt the server", async () => {
    await sandbox.exec({ command: "mkfifo pipe; ln -s /etc/passwd link; ln -s loop loop; mkdir -p dir" });
    const reading = async (path: string) => {
      const answer = await fetch(at(sandbox, path), { signal: AbortSignal.timeout(5_000) });
      return [answer.status, answer.ok ? "" : ((await answer.json()) as { reason: string }).reason];
    };
    expect(await reading("pipe")).toEqual([400, "not_a_file"]);
    expect(await reading("dir")).toEqual([400, "not_a_file"]);
    expect(await reading("/dev/zero")).toEqual([400, "not_a_file"]);
    expect(await reading("none")).toEqual([404, "file_not_found"]);
    expect((await reading("loop"))[0]).toBeGreaterThanOrEqual(400);
    expect((await reading("/proc/self/mem"))[0]).toBeGreaterThanOrEqual(400);
    expect(await reading("link")).toEqual([200, ""]);
    expect((await sandbox.exec({ command: "echo still here" })).body.stdout).toBe("still here\n");
  });

  test("a directory is deleted only with recursive, and a missing path is 404", async () => {
    await sandbox.exec({ command: "mkdir -p full && touch full/x" });
    const refused = await fetch(at(sandbox, "full"), { method: "DELETE" });
    expect([refused.status, ((await refused.json()) as { message: string }).message]).toEqual([
      400,
      expect.stringContaining("recursive"),
    ]);
    expect((await fetch(`${at(sandbox, "full")}&recursive=true`, { method: "DELETE" })).status).toBe(200);
    expect((await fetch(at(sandbox, "full"), { method: "DELETE" })).status).toBe(404);
  });

  test("globs are sorted, ** crosses directories, and no match is an empty list", async () => {
    await sandbox.exec({ command: "mkdir -p g/a/b && touch g/2.txt g/1.txt g/a/b/3.txt g/x.md" });
    const glob = async (pattern: string) =>
      (await fetch(`${sandbox.url}/files/glob?pattern=${encodeURIComponent(pattern)}`)).json();
    expect(await glob("g/*.txt")).toEqual(["/workspace/g/1.txt", "/workspace/g/2.txt"]);
    expect(await glob("g/**/*.txt")).toEqual(["/workspace/g/1.txt", "/workspace/g/2.txt", "/workspace/g/a/b/3.txt"]);
    expect(await glob("g/*.zzz")).toEqual([]);
  });

  test("128 MiB go up and come down with the same checksum", async () => {
    const block = randomBytes(1024 * 1024);
    const hash = createHash("sha256");
    async function* blocks() {
      for (let i = 0; i < 128; i += 1) {
        hash.update(block);
        yield block;
      }
    }
    const up = await fetch(at(sandbox, "big"), {
      method: "PUT",
      body: ReadableStream.from(blocks()),
      duplex: "half",
    } as RequestInit);
    expect(up.status).toBe(200);
    const back = createHash("sha256");
    const down = await fetch(at(sandbox, "big"));
    for await (const chunk of down.body ?? []) back.update(chunk as Uint8Array);
    expect(back.digest("hex")).toBe(hash.digest("hex"));
    await fetch(at(sandbox, "big"), { method: "DELETE" });
  });
});
