import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Client, type Sandbox } from "../../packages/sdk/src/index.ts";
import { startServer, type TestServer } from "./server.ts";

/** A way to the server that cuts some connections after so many bytes from the client, or instead of an answer. */
const cuttingProxy = async () => {
  let port = 0;
  let left = 0;
  let afterBytes = 0;
  let answers = { to: "", left: 0 };
  const proxy = net.createServer((client) => {
    const upstream = net.connect(port, "127.0.0.1");
    let passed = 0;
    let losing = false;
    client.on("data", (data) => {
      passed += data.length;
      losing ||= answers.left > 0 && data.includes(answers.to);
      upstream.write(data);
      if (passed > afterBytes && left > 0) {
        left -= 1;
        client.destroy();
      }
    });
    upstream.on("data", (data) => {
      if (!losing) {
        client.write(data);
        return;
      }
      answers.left -= 1;
      client.destroy();
    });
    for (const socket of [client, upstream]) socket.on("error", () => {});
    client.on("close", () => upstream.end());
    upstream.on("close", () => client.destroy());
  });
  await once(proxy.listen(0, "127.0.0.1"), "listening");
  return {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    leadTo: (url: string) => {
      port = Number(new URL(url).port);
    },
    cut: (connections: number, bytes: number) => {
      left = connections;
      afterBytes = bytes;
    },
    left: () => left,
    /** The next answers to requests that contain the text never arrive. */
    loseAnswers: (to: string, count: number) => {
      answers = { to, left: count };
    },
    answersLeft: () => answers.left,
    close: () => proxy.close(),
  };
};

let proxy: Awaited<ReturnType<typeof cuttingProxy>>;
let server: TestServer;
let sandbox: Sandbox;
beforeAll(async () => {
  proxy = await cuttingProxy();
  server = await startServer({ config: { "server.public_url": proxy.url } });
  proxy.leadTo(server.url);
  sandbox = await new Client(proxy.url).spawn();
});
afterAll(async () => {
  await sandbox?.destroy();
  proxy.close();
  await server[Symbol.asyncDispose]();
});

const sha256 = (bytes: Uint8Array) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

test("an upload goes on over lost connections, and every byte arrives once", async () => {
  proxy.cut(3, 2_500_000);
  const bytes = randomBytes(20 << 20);
  const told: number[] = [];
  await sandbox.files.upload("big", bytes, {
    checksum: sha256(bytes),
    mode: "0750",
    onProgress: (sent) => told.push(sent),
  });
  expect(proxy.left()).toBe(0);
  expect(told).toEqual(told.toSorted((a, b) => a - b));
  expect([told[0], told.at(-1)]).toEqual([0, bytes.length]);
  expect(sha256(await sandbox.files.read("big"))).toBe(sha256(bytes));
  expect(await sandbox.files.stat("big")).toMatchObject({ size: bytes.length, mode: "0750" });
});

test("a commit whose answer is lost is asked again, and the upload has succeeded", async () => {
  await sandbox.files.write("committed", "old");
  const bytes = randomBytes(100_000);
  proxy.loseAnswers("/commit", 2);
  await sandbox.files.upload("committed", bytes, { checksum: sha256(bytes) });
  expect(proxy.answersLeft()).toBe(0);
  expect(sha256(await sandbox.files.read("committed"))).toBe(sha256(bytes));
});

test("an upload whose checksum is of something else leaves the old content", async () => {
  await sandbox.files.write("kept", "old");
  const upload = sandbox.files.upload("kept", new Blob(["new"]), { checksum: sha256(Buffer.from("other")) });
  await expect(upload).rejects.toMatchObject({ reason: "checksum_mismatch" });
  expect(await sandbox.files.readText("kept")).toBe("old");
});

test("an empty upload is an empty file", async () => {
  await sandbox.files.upload("empty", new Uint8Array());
  expect(await sandbox.files.stat("empty")).toMatchObject({ size: 0, is_dir: false });
});

test.each(["none", "gzip", "zstd"] as const)("a folder goes out and in as an archive (%s)", async (compression) => {
  expect(await sandbox.files.mkdir(`${compression}/deep/er`, { parents: true })).toBe(true);
  expect(await sandbox.files.mkdir(compression)).toBe(false);
  await sandbox.files.write(`${compression}/deep/er/file`, "content");
  const archive = await sandbox.files.readArchive(compression, { compression });
  const unpacked = await sandbox.files.writeArchive(`${compression}-copy`, archive, { compression });
  expect(unpacked).toMatchObject({ bytes: 7 });
  expect(await sandbox.files.readText(`${compression}-copy/deep/er/file`)).toBe("content");
  const listed = await sandbox.files.list(`${compression}-copy`, { depth: 3 });
  expect(listed.map(({ path }) => path.replace(`/workspace/${compression}-copy/`, ""))).toEqual([
    "deep",
    "deep/er",
    "deep/er/file",
  ]);
});

test("a download goes on from where an earlier one stopped, of the same version", async () => {
  await sandbox.files.write("parts", "0123456789");
  const { etag, sizeBytes } = await sandbox.files.version("parts");
  const rest = await sandbox.files.download("parts", { from: 4 });
  expect([rest.etag, rest.sizeBytes, rest.offset]).toEqual([etag, sizeBytes, 4]);
  expect(await new Response(rest.stream).text()).toBe("456789");
  await sandbox.files.write("parts", "changed");
  expect((await sandbox.files.version("parts")).etag).not.toBe(etag);
});
