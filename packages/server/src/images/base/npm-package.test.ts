import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { tarOf } from "../tar/tar-fixture.ts";
import { nodePackages } from "./node.ts";
import { type FetchOptions, fetchPackage } from "./npm-package.ts";

const archive = gzipSync(tarOf({ name: "package/package.json", content: '{"name":"pinned","version":"1.0.0"}' }));
const integrityOf = (bytes: Buffer) => `sha512-${createHash("sha512").update(bytes).digest("base64")}`;

/** This host's npm, told by its environment to ask a registry of the test's own. */
async function withRegistry(body: (options: FetchOptions) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "stacyvm-npm-"));
  const registry = createServer((request, response) => {
    if (request.url === "/pinned/-/pinned-1.0.0.tgz") return void response.end(archive);
    if (request.url !== "/pinned") return void response.writeHead(404).end("{}");
    const dist = { tarball: `${url}/pinned/-/pinned-1.0.0.tgz`, integrity: integrityOf(archive) };
    const versions = { "1.0.0": { name: "pinned", version: "1.0.0", dist } };
    response.end(JSON.stringify({ name: "pinned", "dist-tags": { latest: "1.0.0" }, versions }));
  });
  await new Promise<void>((listening) => registry.listen(0, "127.0.0.1", listening));
  const url = `http://127.0.0.1:${(registry.address() as AddressInfo).port}`;
  try {
    const fetched = join(directory, "fetched");
    await mkdir(fetched);
    const environment = {
      PATH: process.env.PATH,
      npm_config_registry: url,
      npm_config_cache: join(directory, "cache"),
      npm_config_fetch_retries: "0",
    };
    await body({ directory: fetched, signal: AbortSignal.timeout(60_000), timeoutMs: 60_000, environment });
  } finally {
    registry.closeAllConnections();
    await new Promise((closed) => registry.close(closed));
    await rm(directory, { recursive: true });
  }
}

test("the pinned archive comes from the registry that npm is configured with, as it lies there", async () => {
  await withRegistry(async (options) => {
    const pinned = { name: "pinned", version: "1.0.0", integrity: integrityOf(archive) };
    const path = await fetchPackage(pinned, options);
    expect((await readFile(path)).equals(archive)).toBe(true);
  });
});

test("other bytes are refused, though the registry vouches for them", async () => {
  await withRegistry(async (options) => {
    const pinned = { name: "pinned", version: "1.0.0", integrity: integrityOf(Buffer.from("what was meant")) };
    await expect(fetchPackage(pinned, options)).rejects.toMatchObject({
      reason: "image_pull_failed",
      message: expect.stringContaining("is pinned"),
    });
  });
});

test("what npm says of a package that isn't there is passed on, with what would help", async () => {
  await withRegistry(async (options) => {
    const pinned = { name: "absent", version: "1.0.0", integrity: "sha512-" };
    await expect(fetchPackage(pinned, options)).rejects.toMatchObject({
      reason: "image_pull_failed",
      message: expect.stringContaining("404"),
      remediation: expect.stringContaining("npm ping"),
    });
    expect(await readdir(options.directory)).toEqual([]);
  });
});

test("the image's Node is the one that the lockfile brings", async () => {
  const lock = JSON.parse(await readFile(resolve(import.meta.dirname, "../../../../../package-lock.json"), "utf8"));
  for (const { name, ...pinned } of Object.values(nodePackages)) {
    expect(lock.packages[`node_modules/${name}`]).toMatchObject(pinned);
  }
});
