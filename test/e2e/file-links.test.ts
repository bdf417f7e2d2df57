import pino from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Client, type Sandbox } from "../../packages/sdk/src/index.ts";
import { startServer, type TestServer } from "./server.ts";

const apiKey = "key-of-the-links-test";
const written: string[] = [];
let server: TestServer;
let client: Client;
beforeAll(async () => {
  const log = pino({ level: "trace" }, { write: (line: string) => void written.push(line) });
  server = await startServer({ config: { "providers.mock.enabled": "true", "auth.api_key": apiKey }, log });
  client = new Client({ baseUrl: server.url, apiKey });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const reasonOf = async (answer: Response): Promise<unknown> => ((await answer.json()) as { reason?: unknown }).reason;
const changed = (url: string, change: (url: URL) => void): string => {
  const copy = new URL(url);
  change(copy);
  return copy.href;
};

describe.each(["oci", "mock"])("links to files on %s", (provider) => {
  let sandbox: Sandbox;
  beforeAll(async () => {
    sandbox = await client.spawn({ provider });
    await sandbox.files.write("dir/a file", "content");
    await sandbox.files.write("dir/b", "other");
  });
  afterAll(async () => {
    await sandbox.destroy();
  });

  test("a link to read serves the file without a key, with HEAD and ranges, so that no browser renders it", async () => {
    const { url, expiresAt } = await sandbox.files.sign("dir/a file", { expiresIn: "90s" });
    expect(expiresAt.getTime() - Date.now()).toBeGreaterThan(60_000);
    const answer = await fetch(url);
    expect([answer.status, await answer.text()]).toEqual([200, "content"]);
    expect(answer.headers.get("content-security-policy")).toContain("sandbox");
    expect(answer.headers.get("content-disposition")).toBe("attachment; filename*=UTF-8''a%20file");
    expect(answer.headers.get("referrer-policy")).toBe("no-referrer");
    const head = await fetch(url, { method: "HEAD" });
    expect([head.status, head.headers.get("content-length")]).toEqual([200, "7"]);
    expect(await (await fetch(url, { headers: { range: "bytes=1-2" } })).text()).toBe("on");
  });

  test("a link to write stores the request's bytes under its path and reads nothing", async () => {
    const { url } = await sandbox.files.sign("made/by link", { operation: "write" });
    expect((await fetch(url, { method: "PUT", body: "bytes" })).status).toBe(200);
    expect(await sandbox.files.readText("made/by link")).toBe("bytes");
    for (const method of ["GET", "HEAD"]) expect((await fetch(url, { method })).status).toBe(403);
  });

  test("a link to read writes nothing", async () => {
    const { url } = await sandbox.files.sign("dir/b");
    const answer = await fetch(url, { method: "PUT", body: "overwritten" });
    expect([answer.status, await reasonOf(answer)]).toEqual([403, "link_refused"]);
    expect(await sandbox.files.readText("dir/b")).toBe("other");
  });

  test("what the link is for decides: the vanished file is 404, a directory is an error", async () => {
    expect((await fetch((await sandbox.files.sign("dir/none")).url)).status).toBe(404);
    expect(await reasonOf(await fetch((await sandbox.files.sign("dir")).url))).toBe("not_a_file");
  });

  const setPath = (path: string) => (url: URL) => url.searchParams.set("path", path);
  const variations: Readonly<Record<string, (url: URL) => void>> = {
    "another file": setPath("/workspace/dir/a file"),
    "another case": setPath("/workspace/dir/B"),
    "a slash at the end": setPath("/workspace/dir/b/"),
    "a doubled slash": setPath("/workspace//dir/b"),
    "a dot": setPath("/workspace/dir/./b"),
    "two dots": setPath("/workspace/x/../dir/b"),
    "a relative path": setPath("dir/b"),
    "a doubly encoded path": setPath("%2Fworkspace%2Fdir%2Fb"),
    "the directory": setPath("/workspace/dir"),
    "no path": (url) => url.searchParams.delete("path"),
    "a second path": (url) => url.searchParams.append("path", "/etc/passwd"),
    "a second path before": (url) => {
      url.search = `?path=%2Fetc%2Fpasswd&${url.search.slice(1)}`;
    },
    "a later end": (url) => url.searchParams.set("expires", String(Number(url.searchParams.get("expires")) + 1)),
    "an end in another spelling": (url) => url.searchParams.set("expires", `0${url.searchParams.get("expires")}`),
    "an end with a fraction": (url) => url.searchParams.set("expires", `${url.searchParams.get("expires")}.0`),
    "no end": (url) => url.searchParams.delete("expires"),
    "an empty end": (url) => url.searchParams.set("expires", ""),
    "no signature": (url) => url.searchParams.delete("signature"),
    "an empty signature": (url) => url.searchParams.set("signature", ""),
    "a shortened signature": (url) =>
      url.searchParams.set("signature", (url.searchParams.get("signature") ?? "").slice(0, -1)),
    "a longer signature": (url) => url.searchParams.set("signature", `${url.searchParams.get("signature")}A`),
    "a signature in another case": (url) =>
      url.searchParams.set("signature", (url.searchParams.get("signature") ?? "").toUpperCase()),
    "another version": (url) =>
      url.searchParams.set("signature", (url.searchParams.get("signature") ?? "").replace("v1_", "v2_")),
    "a second signature": (url) => url.searchParams.append("signature", "v1_"),
    "one more parameter": (url) => url.searchParams.set("mode", "0777"),
    "an unnamed parameter": (url) => {
      url.search += "&";
    },
    "another sandbox": (url) => {
      url.pathname = url.pathname.replace(/sb-[0-9a-f]{16}/, "sb-0000000000000000");
    },
    "the sandbox in another case": (url) => {
      url.pathname = url.pathname.replace(/sb-/, "SB-");
    },
    "the route that takes a key": (url) => {
      url.pathname = url.pathname.replace(/\/signed$/, "");
    },
    "another route": (url) => {
      url.pathname = url.pathname.replace(/signed$/, "list");
    },
  };
  test.each(Object.keys(variations))("a link with %s is refused", async (name) => {
    const { url } = await sandbox.files.sign("dir/b");
    const answer = await fetch(changed(url, variations[name] ?? (() => {})));
    expect([400, 401, 403]).toContain(answer.status);
    expect(await answer.text()).not.toContain("other");
    expect((await fetch(url)).status).toBe(200);
  });

  test("a link of one sandbox opens nothing in another that has the same file", async () => {
    await using cleanup = new AsyncDisposableStack();
    const other = await client.spawn({ provider });
    cleanup.defer(() => other.destroy());
    await other.files.write("dir/b", "of the other");
    await other.files.sign("dir/b");
    const { url } = await sandbox.files.sign("dir/b");
    const answer = await fetch(url.replace(sandbox.id, other.id));
    expect([answer.status, await reasonOf(answer)]).toEqual([403, "link_refused"]);
  });

  test("a link is worthless after its time, after revocation, and after its sandbox", async () => {
    const short = await sandbox.files.sign("dir/b", { expiresIn: "1s" });
    await expect.poll(async () => (await fetch(short.url)).status, { timeout: 5_000 }).toBe(403);

    const own = await client.spawn({ provider });
    await own.files.write("f", "x");
    const before = await own.files.sign("f");
    expect((await fetch(before.url)).status).toBe(200);
    await own.files.revokeLinks();
    expect(await reasonOf(await fetch(before.url))).toBe("link_refused");
    const after = await own.files.sign("f");
    expect((await fetch(after.url)).status).toBe(200);
    expect((await fetch(before.url)).status).toBe(403);
    await own.destroy();
    expect(await reasonOf(await fetch(after.url))).toBe("link_refused");
  });

  test.each([
    [{ operation: "delete", path: "a" }, "operation"],
    [{ operation: "read", path: "" }, "path"],
    [{ operation: "read" }, "path"],
    [{ operation: "read", path: "a", expires_in: "0s" }, "expires_in"],
    [{ operation: "read", path: "a", expires_in: "168h1s" }, "expires_in"],
    [{ operation: "read", path: "a", expires_in: "soon" }, "expires_in"],
    [{ operation: "read", path: "a", mode: "0777" }, "mode"],
  ])("a request to sign %j is refused by name", async (body, field) => {
    const answer = await fetch(`${server.url}/api/v1/sandboxes/${sandbox.id}/files/sign`, {
      method: "POST",
      headers: { "X-API-Key": apiKey },
      body: JSON.stringify(body),
    });
    const { message } = (await answer.json()) as { message: string };
    expect([answer.status, message]).toEqual([400, expect.stringContaining(field)]);
  });

  test("signing and revoking need the key", async () => {
    const url = `${server.url}/api/v1/sandboxes/${sandbox.id}/files/sign`;
    expect((await fetch(url, { method: "POST", body: '{"operation":"read","path":"a"}' })).status).toBe(401);
    expect((await fetch(url, { method: "DELETE" })).status).toBe(401);
  });

  test("no line of the log holds a signature, used or refused", async () => {
    const { url } = await sandbox.files.sign("dir/b");
    await fetch(url);
    await fetch(`${url}&more=1`);
    await fetch(url.replace("signed", "list"));
    expect(written.join("")).toContain("/files/signed");
    expect(written.join("")).not.toContain("v1_");
  });
});
