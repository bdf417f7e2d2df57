import { readdir, readFile, stat, truncate, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { PullProgress } from "./image-store.ts";
import {
  busyboxTree,
  manifestDigest,
  ociLayout,
  pushLayout,
  type RegistryFixture,
  registryFixture,
  runFixtureTool,
  type StoreFixture,
  storeFixture,
} from "./images-fixture.ts";
import { tarOf } from "./tar/tar-fixture.ts";

const signal = AbortSignal.timeout(300_000);
let registry: RegistryFixture;
let source: StoreFixture;
let layout: string;

beforeAll(async () => {
  registry = await registryFixture();
  source = await storeFixture();
  const tree = await busyboxTree(source.directory);
  const { stdout } = await runFixtureTool("tar", ["-C", tree, "-cf", "-", "."], {
    encoding: "buffer",
    maxBuffer: 2 ** 26,
  });
  layout = await ociLayout(source.directory, [
    stdout,
    tarOf({ name: "bin/.wh.sh" }, { name: "bin/ash", type: "hardlink", linkName: "bin/busybox" }),
  ]);
  await push(layout, "app:1");
});

afterAll(async () => {
  await registry?.[Symbol.asyncDispose]();
  await source?.[Symbol.asyncDispose]();
});

const push = (from: string, name: string) => pushLayout(from, `${registry.host}/${name}`);

const opened = () => storeFixture({ registries: { insecure: [registry.host] } });

test("a pull by tag unpacks whiteouts and hard links, tells its progress, and a second ensure asks nobody", async () => {
  await using fixture = await opened();
  const notes: PullProgress[] = [];
  const root = await fixture.store.ensure(`${registry.host}/app:1`, signal, (note) => notes.push(note));
  expect(new Set(notes.map(({ phase }) => phase))).toEqual(new Set(["resolve", "download", "unpack", "done"]));
  expect((await readdir(join(root.rootfsPath, "bin"))).sort()).toEqual(["ash", "busybox"]);
  expect((await stat(join(root.rootfsPath, "bin/ash"))).nlink).toBe(2);
  expect(root.env).toEqual({ GREETING: "hello world" });
  const asked = registry.requests().length;
  expect(await fixture.store.ensure(`${registry.host}/app:1`, signal)).toEqual(root);
  expect(registry.requests().length).toBe(asked);
  expect(await fixture.store.list()).toMatchObject([
    { reference: `${registry.host}/app:1`, source: "pull", createdAtMs: 1_000 },
  ]);
});

test("a pull by digest gives the same tree; a digest that the registry doesn't have is image_not_found", async () => {
  await using fixture = await opened();
  const digest = await manifestDigest(layout);
  const byDigest = await fixture.store.ensure(`${registry.host}/app@${digest}`, signal);
  const byTag = await fixture.store.ensure(`${registry.host}/app:1`, signal);
  expect(byDigest.rootfsPath).toBe(byTag.rootfsPath);
  const wrong = `${registry.host}/app@sha256:${"0".repeat(64)}`;
  await expect(fixture.store.ensure(wrong, signal)).rejects.toMatchObject({ reason: "image_not_found" });
});

test("ten at once in each of two processes' stores ask the registry for each blob once", async () => {
  await using fixture = await opened();
  const unique = `app-${fixture.directory.slice(-6).toLowerCase()}`;
  await push(layout, unique);
  const before = registry.requests().length;
  const other = await fixture.reopen();
  const stores = Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? fixture.store : other));
  const roots = await Promise.all(stores.map((store) => store.ensure(`${registry.host}/${unique}`, signal)));
  expect(new Set(roots.map(({ rootfsPath }) => rootfsPath)).size).toBe(1);
  const gets = registry
    .requests()
    .slice(before)
    .filter((line) => line.includes("GET") && line.includes("/blobs/"));
  const blobs = gets.map((line) => /blobs\/(sha256:[0-9a-f]{64})/.exec(line)?.[1]).filter((blob) => blob !== undefined);
  expect(blobs.length).toBeGreaterThan(0);
  expect(new Set(blobs).size).toBe(blobs.length);
  expect(await readdir(join(fixture.directory, "store", "tmp"))).toEqual([]);
});

test("one who gives up doesn't take the pull away from the others", async () => {
  await using fixture = await opened();
  const leaving = new AbortController();
  // Both wait for the pull once both are told of it.
  const told = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
  const name = `${registry.host}/app:1`;
  const left = fixture.store.ensure(name, leaving.signal, () => told[0].resolve());
  const stayed = fixture.store.ensure(name, signal, () => told[1].resolve());
  await Promise.all(told.map(({ promise }) => promise));
  leaving.abort();
  await expect(left).rejects.toMatchObject({ name: "AbortError" });
  expect((await stayed).digest).toMatch(/^sha256:/);
});

test("a pull that everybody gave up ends, and leaves nothing", async () => {
  await using fixture = await opened();
  const server = createServer(() => {}); // Accepts, never answers.
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const store = await fixture.reopen({ registries: { insecure: [host] } });
  const leaving = new AbortController();
  const connected = new Promise((resolve) => server.once("connection", resolve));
  const pull = store.ensure(`${host}/app`, leaving.signal);
  await connected;
  leaving.abort();
  await expect(pull).rejects.toMatchObject({ name: "AbortError" });
  await expect.poll(() => readdir(join(fixture.directory, "store", "tmp"))).toEqual([]);
  server.closeAllConnections();
  server.close();
});

test("a registry that doesn't answer, and one that never finishes, are image_pull_failed, and the way out is named", async () => {
  await using fixture = await storeFixture();
  const server = createServer(() => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const store = await fixture.reopen({ registries: { insecure: [host, "127.0.0.1:1"] }, timeouts: { pullMs: 300 } });
  for (const name of [`${host}/app:2`, "127.0.0.1:1/app:2"]) {
    await expect(store.ensure(name, signal)).rejects.toMatchObject({
      reason: "image_pull_failed",
      remediation: expect.stringContaining(`stacyvm image import ${name}`),
    });
  }
  server.closeAllConnections();
  server.close();
});

test("a name that the registry doesn't have is image_not_found and names import", async () => {
  await using fixture = await opened();
  await expect(fixture.store.ensure(`${registry.host}/absent`, signal)).rejects.toMatchObject({
    reason: "image_not_found",
    remediation: expect.stringContaining("stacyvm image import"),
  });
});

test("a registry without TLS is refused unless the operator names it, and an internal one as well", async () => {
  await using fixture = await storeFixture();
  const before = registry.requests().length;
  await expect(fixture.store.ensure(`${registry.host}/app:1`, signal)).rejects.toThrow(/internal address/);
  const tls = await fixture.reopen({ registries: { internal: [registry.host] } });
  await expect(tls.ensure(`${registry.host}/app:1`, signal)).rejects.toThrow(/TLS certificate/);
  expect(registry.requests().length).toBe(before);
});

test("a layer that was cut short or changed at the registry is never shelved", async () => {
  await using fixture = await opened();
  const damaged = await ociLayout(fixture.directory, [tarOf({ name: "a", content: fixture.directory.repeat(100) })]);
  await push(damaged, "damaged");
  const manifest = JSON.parse(
    await readFile(join(damaged, "blobs/sha256", (await manifestDigest(damaged)).slice(7)), "utf8"),
  );
  const hex: string = manifest.layers[0].digest.slice(7);
  const blob = join(registry.directory, "docker/registry/v2/blobs/sha256", hex.slice(0, 2), hex, "data");
  const bytes = await readFile(blob);
  await truncate(blob, bytes.length - 10);
  await expect(fixture.store.ensure(`${registry.host}/damaged`, signal)).rejects.toMatchObject({
    reason: "image_pull_failed",
  });
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 0xff;
  await writeFile(blob, bytes);
  await expect(fixture.store.ensure(`${registry.host}/damaged`, signal)).rejects.toMatchObject({
    reason: "image_pull_failed",
  });
  for (const name of ["trees", "refs", "tmp"])
    expect(await readdir(join(fixture.directory, "store", name))).toEqual([]);
});

test("a pull larger than its bound on disk is stopped and leaves nothing", async () => {
  await using fixture = await storeFixture({ registries: { insecure: [registry.host] }, maxDownloadBytes: 10_000 });
  await expect(fixture.store.ensure(`${registry.host}/app:1`, signal)).rejects.toThrow(/larger than 10000 bytes/);
  expect(await readdir(join(fixture.directory, "store", "trees"))).toEqual([]);
});
