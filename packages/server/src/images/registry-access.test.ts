import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Secret } from "../lib/secret.ts";
import type { ImageStoreOptions } from "./create-image-store.ts";
import {
  ociLayout,
  proxyFixture,
  pushLayout,
  type RegistryFixture,
  registryFixture,
  storeFixture,
} from "./images-fixture.ts";
import { tarOf } from "./tar/tar-fixture.ts";

const signal = AbortSignal.timeout(300_000);
const password = randomBytes(12).toString("hex");
let registry: RegistryFixture;

beforeAll(async () => {
  registry = await registryFixture(`me:${password}`);
  await using source = await storeFixture();
  const layout = await ociLayout(source.directory, [tarOf({ name: "greeting", content: "hello" })]);
  await pushLayout(layout, `${registry.host}/app:1`, `me:${password}`);
});

afterAll(async () => {
  await registry?.[Symbol.asyncDispose]();
});

const registries = (more: ImageStoreOptions["registries"], host = registry.host) => ({
  registries: { insecure: [host], ...more },
});

/** Everything that a log or an answer could be made of: messages, remediation, causes, what a tool printed. */
const failure = async (pull: Promise<unknown>) => {
  const error: unknown = await pull.then(
    () => new Error("it pulled"),
    (error: unknown) => error,
  );
  return { error, text: inspect(error, { depth: 20, showHidden: true }) };
};

test("the right credentials pull, given by name or in a file, and none are left on the disk", async () => {
  await using fixture = await storeFixture(
    registries({ credentials: { [registry.host]: new Secret(`me:${password}`) } }),
  );
  const root = await fixture.store.ensure(`${registry.host}/app:1`, signal);
  expect(await readFile(join(root.rootfsPath, "greeting"), "utf8")).toBe("hello");
  expect(await readdir(join(fixture.directory, "store/tmp"))).toEqual([]);

  const authFile = join(fixture.directory, "auth.json");
  const auth = Buffer.from(`me:${password}`).toString("base64");
  await writeFile(authFile, JSON.stringify({ auths: { [registry.host]: { auth } } }), { mode: 0o600 });
  const other = await fixture.reopen(registries({ authFile, credentials: { "else.test": new Secret("a:b") } }));
  expect(await other.pull(`${registry.host}/app:1`, signal)).toMatchObject({ digest: root.digest });
});

test("wrong credentials are refused with the key that holds them, and no word of theirs", async () => {
  await using fixture = await storeFixture();
  const wrong = `${password}x`;
  const authFile = join(fixture.directory, "auth.json");
  const auth = Buffer.from(`me:${wrong}`).toString("base64");
  await writeFile(authFile, JSON.stringify({ auths: { [registry.host]: { auth } } }));
  for (const [key, given] of [
    ["images.registry_credentials", { credentials: { [registry.host]: new Secret(`me:${wrong}`) } }],
    ["images.auth_file", { authFile }],
  ] as const) {
    const store = await fixture.reopen(registries(given));
    const { error, text } = await failure(store.ensure(`${registry.host}/app:1`, signal));
    expect(error).toMatchObject({
      reason: "image_pull_failed",
      message: expect.stringContaining(`${registry.host} refused`),
      remediation: expect.stringContaining(key),
    });
    for (const secret of [password, auth]) expect(text).not.toContain(secret);
  }
});

test("without credentials the error names the keys that give some, and another registry's are not sent", async () => {
  const heard: string[] = [];
  const other = createServer((request, response) => {
    heard.push(request.headers.authorization ?? "none");
    response.writeHead(401, { "www-authenticate": 'Basic realm="images"' }).end();
  });
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  const host = `127.0.0.1:${(other.address() as AddressInfo).port}`;
  await using fixture = await storeFixture(
    registries({ credentials: { [registry.host]: new Secret(`me:${password}`) } }, host),
  );
  await expect(fixture.store.ensure(`${host}/app:1`, signal)).rejects.toMatchObject({
    reason: "image_not_found",
    remediation: expect.stringMatching(/images\.registry_credentials.*images\.auth_file/),
  });
  const empty = `Basic ${Buffer.from(":").toString("base64")}`; // As skopeo answers a challenge with nothing.
  expect(heard.filter((authorization) => authorization !== "none" && authorization !== empty)).toEqual([]);
  expect(heard.length).toBeGreaterThan(0);
  other.closeAllConnections();
  other.close();
});

test("a registry that repeats what it was told brings no secret into an error or what stands behind it", async () => {
  const said: string[] = [];
  const echo = createServer(({ headers }, response) => {
    const sent = headers.authorization?.replace(/^Basic /, "") ?? "";
    const message = `${sent} is ${Buffer.from(sent, "base64")}`;
    said.push(message);
    response.writeHead(sent === "" ? 401 : 400, { "www-authenticate": 'Basic realm="images"' });
    response.end(JSON.stringify({ errors: [{ code: "UNKNOWN", message }] }));
  });
  await new Promise<void>((resolve) => echo.listen(0, "127.0.0.1", resolve));
  const host = `127.0.0.1:${(echo.address() as AddressInfo).port}`;
  const credentials = { [host]: new Secret(`me:${password}`) };
  await using fixture = await storeFixture(registries({ credentials }, host));
  const { text } = await failure(fixture.store.ensure(`${host}/app:1`, signal));
  expect(said.join()).toContain(password);
  expect(text).toContain("[redacted]");
  expect(text).not.toContain(password);
  expect(text).not.toContain(Buffer.from(`me:${password}`).toString("base64"));
  echo.closeAllConnections();
  echo.close();
});

test.each([
  ["absent", undefined, "can't be read (ENOENT)"],
  ["no JSON", "hunter2", "it is no JSON"],
  ["no object", '["hunter2"]', "it is no JSON object"],
])("an auth file that is %s is refused by its key and not quoted", async (_, content, why) => {
  await using fixture = await storeFixture();
  const authFile = join(fixture.directory, "auth.json");
  if (content !== undefined) await writeFile(authFile, content);
  const store = await fixture.reopen(registries({ authFile }));
  const { error, text } = await failure(store.ensure(`${registry.host}/app:1`, signal));
  expect(error).toMatchObject({ message: expect.stringMatching(/images\.auth_file/) });
  expect(text).toContain(why);
  expect(text).not.toContain("hunter2");
});

/** Runs in a process of its own: pulls from a registry that never answers. */
const pullForever = `
  import { createImageStore } from ${JSON.stringify(join(import.meta.dirname, "create-image-store.ts"))};
  import { realOutbound } from ${JSON.stringify(join(import.meta.dirname, "images-fixture.ts"))};
  import { Secret } from ${JSON.stringify(join(import.meta.dirname, "../lib/secret.ts"))};
  const [storeDir, host, credentials] = process.argv.slice(1);
  const registries = { insecure: [host], credentials: { [host]: new Secret(credentials) } };
  const store = await createImageStore({ storeDir, clock: Date, registries, outbound: realOutbound(storeDir) });
  await store.ensure(host + "/app:1", new AbortController().signal);
`;

test("while a pull runs its credentials are root's alone, on no command line, and gone at the start after a kill", async () => {
  await using fixture = await storeFixture();
  const asked = Promise.withResolvers<void>();
  const silent = createServer(() => asked.resolve());
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const host = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const storeDir = join(fixture.directory, "store");
  const args = ["--conditions=source", "--input-type=module", "-e", pullForever, storeDir, host, `me:${password}`];
  const server = spawn(process.execPath, args, { stdio: "inherit" });
  const ended = new Promise((resolve) => server.once("exit", resolve));
  await Promise.race([asked.promise, ended.then(() => Promise.reject(new Error("it never asked")))]);

  const [work = ""] = await readdir(join(storeDir, "tmp"));
  const file = join(storeDir, "tmp", work, "auth.json");
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect((await stat(join(storeDir, "tmp", work))).mode & 0o777).toBe(0o700);
  const pulling = () => commandLines((line) => line.includes(`docker://${host}/`));
  const lines = await pulling();
  expect(lines.length).toBeGreaterThan(0);
  for (const line of lines) expect(line).not.toContain(password);

  server.kill("SIGKILL");
  await ended;
  await expect.poll(pulling).toEqual([]); // The tool goes with its server.
  expect((await stat(file)).isFile()).toBe(true);
  await fixture.reopen();
  expect(await readdir(join(storeDir, "tmp"))).toEqual([]);
  silent.closeAllConnections();
  silent.close();
});

async function commandLines(wanted: (line: string) => boolean): Promise<string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")));
  return lines.map((line) => line.replaceAll("\0", " ")).filter(wanted);
}

const named = "registry.test:5000";

test("a pull goes through the proxy that is configured: tunnels for TLS, requests for plain HTTP", async () => {
  await using proxy = await proxyFixture(registry.host);
  const through = { http: new Secret(proxy.address), https: new Secret(proxy.address), none: [] };
  await using fixture = await storeFixture(
    registries({ credentials: { [named]: new Secret(`me:${password}`) }, proxies: through }, named),
  );
  const root = await fixture.store.ensure(`${named}/app:1`, signal);
  expect(await readFile(join(root.rootfsPath, "greeting"), "utf8")).toBe("hello");
  // TLS is tried first, and the registry has none.
  expect(proxy.passed()).toContain(`CONNECT ${named}`);
  expect(proxy.passed().filter((line) => line.startsWith(`GET http://${named}/v2/app/blobs/`))).toHaveLength(2);
  expect(proxy.refused()).toBe(0);

  const count = proxy.passed().length;
  const direct = await fixture.reopen(registries({ proxies: { ...through, none: ["registry.test"] } }, named));
  await expect(direct.ensure(`${named}/other:1`, signal)).rejects.toThrow(/doesn't resolve/);
  expect(proxy.passed().length).toBe(count);
});

test("a proxy that refuses is told from a registry that does, and its password shows nowhere", async () => {
  await using proxy = await proxyFixture(registry.host);
  const { password: right } = new URL(proxy.address);
  const address = new Secret(proxy.address.replace(right, `wrong${right}`));
  await using fixture = await storeFixture(registries({ proxies: { http: address, https: address, none: [] } }, named));
  const { error, text } = await failure(fixture.store.ensure(`${named}/app:1`, signal));
  expect(error).toMatchObject({
    reason: "image_pull_failed",
    message: expect.stringMatching(/proxy refused.*images\.http_proxy, images\.https_proxy/),
  });
  expect(proxy.refused()).toBeGreaterThan(0);
  expect(proxy.passed()).toEqual([]);
  expect(text).not.toContain(right);
});
