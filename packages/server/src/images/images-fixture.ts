import { execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { createOutbound } from "../egress/create-outbound.ts";
import { builtNativeDir } from "../lib/native-dir.ts";
import type { Outbound } from "../lib/outbound.ts";
import { createImageStore, type ImageStoreOptions } from "./create-image-store.ts";
import type { ImageStore } from "./image-store.ts";

export const runFixtureTool = promisify(execFile);

export interface StoreFixture extends AsyncDisposable {
  /** Free for the test's own files; the store lies in its `store`. */
  readonly directory: string;
  readonly store: ImageStore;
  /** Another store over the same directory, as a second process would have it. */
  reopen(options?: Partial<ImageStoreOptions>): Promise<ImageStore>;
}

export async function storeFixture(options: Partial<ImageStoreOptions> = {}): Promise<StoreFixture> {
  const directory = await mkdtemp(join(tmpdir(), "stacyvm-images-"));
  const outbound = realOutbound(directory);
  const open = (more: Partial<ImageStoreOptions> = {}) =>
    createImageStore({
      storeDir: join(directory, "store"),
      clock: { now: () => 1_000 },
      outbound,
      ...options,
      ...more,
    });
  return {
    directory,
    store: await open(),
    reopen: open,
    async [Symbol.asyncDispose]() {
      await outbound[Symbol.asyncDispose]();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** The way out of a server that configures none of its own. */
export const realOutbound = (stateDir: string): Outbound =>
  createOutbound({ config: { resolvers: [], open: [] }, nativeDir: builtNativeDir, stateDir, known: [] });

/** A root file system of busybox alone. */
export async function busyboxTree(directory: string): Promise<string> {
  const tree = join(directory, "busybox");
  await mkdir(join(tree, "bin"), { recursive: true });
  await copyFile("/bin/busybox", join(tree, "bin/busybox"));
  await symlink("busybox", join(tree, "bin/sh"));
  return tree;
}

export interface RegistryFixture extends AsyncDisposable {
  /** 127.0.0.1:port. */
  readonly host: string;
  /** Where it keeps blobs and manifests. */
  readonly directory: string;
  /** Requests so far, one line each. */
  readonly requests: () => readonly string[];
}

/** Debian's docker-registry on a loopback port of its own, without TLS; `credentials`, each `user:password`, if it wants some. */
export async function registryFixture(...credentials: readonly string[]): Promise<RegistryFixture> {
  const directory = await mkdtemp(join(tmpdir(), "stacyvm-registry-"));
  const configuration = join(directory, "config.yml");
  const users = join(directory, "htpasswd");
  const isPrivate = credentials.length > 0;
  if (isPrivate) await writeFile(users, (await Promise.all(credentials.map(htpasswdLine))).join(""));
  await writeFile(
    configuration,
    [
      "version: 0.1",
      "log: {level: info, formatter: json}",
      `storage: {filesystem: {rootdirectory: ${join(directory, "data")}}}`,
      "http: {addr: 127.0.0.1:0}",
      ...(!isPrivate ? [] : [`auth: {htpasswd: {realm: images, path: ${users}}}`]),
    ].join("\n"),
  );
  const child = spawn("docker-registry", ["serve", configuration], { stdio: ["ignore", "pipe", "pipe"] });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const requests: string[] = [];
  let log = "";
  const port = await new Promise<string>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", () => reject(new Error(`the registry ended: ${log}`)));
    const onData = (chunk: Buffer) => {
      const text = chunk.toString();
      if (log.length < 100_000) log += text;
      requests.push(...text.split("\n").filter((line) => /"(GET|HEAD|PUT|POST|PATCH) \/v2\//.test(line)));
      const found = /listening on 127\.0\.0\.1:(\d+)/.exec(log)?.[1];
      if (found !== undefined) resolve(found);
    };
    child.stdout.on("data", onData);
    child.stderr.on("data", onData);
  });
  return {
    host: `127.0.0.1:${port}`,
    directory: join(directory, "data"),
    requests: () => requests,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await exited;
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** The registry takes bcrypt alone, which libcrypt makes. */
async function htpasswdLine(credentials: string): Promise<string> {
  const [user = "", password = ""] = credentials.split(":");
  const salt = `$2b$04$${randomBytes(11).toString("hex")}`;
  const { stdout } = await runFixtureTool("perl", ["-e", "print crypt($ARGV[0], $ARGV[1])", password, salt]);
  return `${user}:${stdout}\n`;
}

export interface ProxyFixture extends AsyncDisposable {
  /** With the credentials that it wants. */
  readonly address: string;
  /** What passed, such as `CONNECT registry.test:5000` or `GET http://registry.test:5000/v2/`. */
  readonly passed: () => readonly string[];
  /** Requests without the right credentials. */
  readonly refused: () => number;
}

/** A forward proxy on loopback which takes every name for `target`, `host:port`, and wants user `me` with a password. */
export async function proxyFixture(target: string): Promise<ProxyFixture> {
  const password = randomBytes(12).toString("hex");
  const wanted = `Basic ${Buffer.from(`me:${password}`).toString("base64")}`;
  const [host, port] = target.split(":");
  const passed: string[] = [];
  let refused = 0;
  const server = createServer((incoming, outgoing) => {
    if (incoming.headers["proxy-authorization"] !== wanted) {
      refused++;
      outgoing.writeHead(407, { "proxy-authenticate": "Basic" }).end();
      return;
    }
    passed.push(`${incoming.method} ${incoming.url}`);
    const { pathname, search } = new URL(incoming.url ?? "");
    const { "proxy-authorization": _, ...headers } = incoming.headers;
    const onward = request({ host, port, method: incoming.method, path: pathname + search, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    incoming.pipe(onward);
  });
  server.on("connect", (incoming, client: Socket, head: Buffer) => {
    if (incoming.headers["proxy-authorization"] !== wanted) {
      refused++;
      client.end("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n");
      return;
    }
    passed.push(`CONNECT ${incoming.url}`);
    const onward = connect(Number(port), host, () => {
      client.write("HTTP/1.1 200 Connection Established\r\n\r\n");
      onward.write(head);
      client.pipe(onward).pipe(client);
    });
    onward.on("error", () => client.destroy());
    client.on("error", () => onward.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    address: `http://me:${password}@127.0.0.1:${(server.address() as AddressInfo).port}`,
    passed: () => passed,
    refused: () => refused,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** An OCI layout made of layers, tagged `image`; made by umoci, which is not what the store reads it with. */
export async function ociLayout(directory: string, layers: readonly Buffer[]): Promise<string> {
  const layout = await mkdtemp(join(directory, "layout-"));
  await rm(layout, { recursive: true });
  await runFixtureTool("umoci", ["init", "--layout", layout]);
  await runFixtureTool("umoci", ["new", "--image", `${layout}:image`]);
  for (const [i, tar] of layers.entries()) {
    const file = `${layout}-${i}.tar`;
    await writeFile(file, tar);
    await runFixtureTool("umoci", ["raw", "add-layer", "--image", `${layout}:image`, file]);
  }
  await runFixtureTool("umoci", ["config", "--image", `${layout}:image`, "--config.env", "GREETING=hello world"]);
  return layout;
}

/** Gives a registry an image; `credentials` are `user:password`. */
export async function pushLayout(layout: string, to: string, credentials?: string): Promise<void> {
  await runFixtureTool("skopeo", [
    "--insecure-policy",
    "copy",
    "--preserve-digests",
    "--dest-tls-verify=false",
    ...(credentials === undefined ? [] : [`--dest-creds=${credentials}`]),
    `oci:${layout}:image`,
    `docker://${to}`,
  ]);
}

/** Digest of the manifest that a layout's index names, `sha256:…`. */
export async function manifestDigest(layout: string): Promise<string> {
  const index = JSON.parse(await readFile(join(layout, "index.json"), "utf8"));
  return index.manifests[0].digest;
}
