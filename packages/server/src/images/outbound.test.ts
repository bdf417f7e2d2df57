import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { createOutbound } from "../egress/create-outbound.ts";
import { Secret } from "../lib/secret.ts";
import { proxyFixture, storeFixture } from "./images-fixture.ts";
import { registryLogin } from "./registry-access.ts";

const signal = AbortSignal.timeout(300_000);
const opened: AsyncDisposable[] = [];

afterEach(async () => {
  for (const each of opened.splice(0).reverse()) await each[Symbol.asyncDispose]();
});

/** A web server on this host: its port, and what it heard. */
const web = async (answer: (request: IncomingMessage, response: ServerResponse) => void) => {
  const heard: string[] = [];
  const server = createServer((request, response) => {
    heard.push(`${request.method} ${request.url}`);
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  opened.push({
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  });
  return { port: (server.address() as AddressInfo).port, heard };
};

const storeOf = async (insecure: readonly string[]) => {
  const fixture = await storeFixture({ registries: { insecure } });
  opened.push(fixture);
  return fixture.store;
};

const inside = () => web((_, response) => response.end(JSON.stringify({ token: "t" })));

test.each(["127.0.0.1", "localhost", "0.0.0.0", "10.255.0.1", "169.254.169.254", "2130706433", "0x7f.1"])(
  "a reference makes the server ask nothing at %s",
  async (host) => {
    const { port, heard } = await inside();
    const store = await storeOf([]);
    await expect(store.ensure(`${host}:${port}/app:1`, signal)).rejects.toMatchObject({
      reason: "image_pull_failed",
      message: expect.stringMatching(/internal address|doesn't resolve/),
    });
    expect(heard).toEqual([]);
  },
);

test.each(["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0"])(
  "a registry that sends its askers for a token to %s doesn't make the server ask there, unless the operator named it",
  async (host) => {
    const secret = await inside();
    const realm = `http://${host}:${secret.port}/token`;
    const registry = await web((_, response) =>
      response.writeHead(401, { "www-authenticate": `Bearer realm="${realm}",service="s"` }).end(),
    );
    const store = await storeOf([`127.0.0.1:${registry.port}`]);
    await expect(store.ensure(`127.0.0.1:${registry.port}/app:1`, signal)).rejects.toMatchObject({
      reason: "image_pull_failed",
    });
    expect(registry.heard.length).toBeGreaterThan(0);
    expect(secret.heard).toEqual([]);
    if (host !== "127.0.0.1") return;

    const trusting = await storeOf([`127.0.0.1:${registry.port}`, `127.0.0.1:${secret.port}`]);
    await expect(trusting.ensure(`127.0.0.1:${registry.port}/app:1`, signal)).rejects.toThrow();
    expect(secret.heard).not.toEqual([]);
  },
);

test("the operator's proxy isn't asked for what is internal", async () => {
  const { port } = await inside();
  const proxy = await proxyFixture(`127.0.0.1:${port}`);
  opened.push(proxy);
  const address = new Secret(proxy.address);
  const fixture = await storeFixture({ registries: { proxies: { http: address, https: address, none: [] } } });
  opened.push(fixture);
  await expect(fixture.store.ensure("10.255.0.1:5000/app:1", signal)).rejects.toThrow(/internal address/);
  expect(proxy.passed()).toEqual([]);
  await expect(fixture.store.ensure("registry.test:5000/app:1", signal)).rejects.toThrow();
  expect(proxy.passed()).not.toEqual([]);
});

test("a registry that sends a layer's askers elsewhere on this host doesn't make the server ask there", async () => {
  const secret = await inside();
  const config = JSON.stringify({ architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [] } });
  const digestOf = (text: string) => `sha256:${createHash("sha256").update(text).digest("hex")}`;
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: { mediaType: "application/vnd.oci.image.config.v1+json", digest: digestOf(config), size: config.length },
    layers: [{ mediaType: "application/vnd.oci.image.layer.v1.tar", digest: digestOf("x"), size: 1 }],
  });
  const registry = await web(({ url = "" }, response) => {
    if (url.includes("/manifests/")) {
      response.writeHead(200, { "content-type": "application/vnd.oci.image.manifest.v1+json" }).end(manifest);
    } else if (url.includes("/blobs/")) {
      response.writeHead(307, { location: `http://127.0.0.1:${secret.port}/metadata` }).end();
    } else response.end("{}");
  });
  const store = await storeOf([`127.0.0.1:${registry.port}`]);
  await expect(store.ensure(`127.0.0.1:${registry.port}/app:1`, signal)).rejects.toMatchObject({
    reason: "image_pull_failed",
  });
  expect(registry.heard.some((line) => line.includes("/blobs/"))).toBe(true);
  expect(secret.heard).toEqual([]);
});

test("an engine's registry isn't asked, and the error says so, where the server's own proxy can't be", async () => {
  const outbound = createOutbound({
    config: { resolvers: [], open: [] },
    nativeDir: "/nonexistent",
    stateDir: "/nonexistent",
    known: [],
  });
  opened.push(outbound);
  await expect(registryLogin("registry.test", {}, outbound, signal)).rejects.toMatchObject({
    reason: "image_pull_failed",
    remediation: expect.stringContaining("images.internal_registries"),
  });
  await expect(registryLogin("registry.test", { internal: ["registry.test"] }, outbound, signal)).resolves.toBe(
    undefined,
  );
});
