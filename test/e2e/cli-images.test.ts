import { writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  ociLayout,
  pushLayout,
  type RegistryFixture,
  registryFixture,
} from "../../packages/server/src/images/images-fixture.ts";
import { tarOf } from "../../packages/server/src/images/tar/tar-fixture.ts";
import { launcher, runProgram } from "./cli-process.ts";
import { busyboxTar, startServer, type TestServer } from "./server.ts";

let registry: RegistryFixture;
let server: TestServer;
let pulled = "";
let unused = "";
let kept = "";

/** A server that knows the registry, with the configuration file beside it that the command reads. */
const startBesideRegistry = async (config: Readonly<Record<string, string>> = {}): Promise<TestServer> => {
  const started = await startServer({ config: { "images.insecure_registries": registry.host, ...config } });
  writeFileSync(
    join(started.dataDir, "stacyvm.yaml"),
    JSON.stringify({ data_dir: started.dataDir, images: { insecure_registries: [registry.host] } }),
  );
  return started;
};

beforeAll(async () => {
  registry = await registryFixture();
  pulled = `${registry.host}/app:1`;
  server = await startBesideRegistry();
  const layer = await readFile(busyboxTar(server.dataDir));
  [unused, kept] = [`${registry.host}/unused:1`, `${registry.host}/kept:1`];
  // Not the very bytes of the imported image: that one's tree always stays.
  for (const reference of [pulled, unused, kept]) {
    await pushLayout(await ociLayout(server.dataDir, [layer, tarOf({ name: "which", content: reference })]), reference);
  }
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await registry?.[Symbol.asyncDispose]();
});

const beside = ({ dataDir, url }: TestServer) => {
  const run = async (...args: readonly string[]) => {
    const ran = await runProgram(launcher, args, { cwd: dataDir, env: { STACYVM_SERVER: url } });
    return { ...ran, json: () => JSON.parse(ran.stdout) };
  };
  const references = async (): Promise<readonly string[]> =>
    (await run("image", "list", "--json")).json().map(({ reference }: { readonly reference: string }) => reference);
  return { run, references };
};

test("image gc removes what nobody uses and a registry can bring back, also while the server runs", async () => {
  const { run, references } = beside(server);
  const spawned = await run("spawn", "--image", pulled, "--json");
  const { id } = spawned.json() as { readonly id: string };
  const used = await run("image", "gc", "--max-size", "0", "--json");
  expect(used.json()).toMatchObject({ removed: [], freedBytes: 0, dryRun: false });
  expect((await run("exec", id, "--", "echo", "still here")).stdout).toBe("still here\n");
  await run("kill", id);
  const dry = await run("image", "gc", "--max-size", "0", "--dry-run");
  expect(dry.stdout).toMatch(/^REFERENCE .*\n127\.0\.0\.1:\d+\/app:1 .* size\n1 image would be removed \(\d+ MB\)/);
  await run("image", "gc", "--max-size", "0");
  expect(await references()).toEqual(["docker.io/library/alpine:latest"]);
});

test("image gc says what a size and an age look like", async () => {
  const { run } = beside(server);
  const size = await run("image", "gc", "--max-size", "much");
  expect(size).toMatchObject({ status: 1, stdout: "", stderr: expect.stringContaining("--max-size") });
  const age = await run("image", "gc", "--max-age=-1h");
  expect(age).toMatchObject({ status: 1, stdout: "", stderr: expect.stringContaining("--max-age") });
});

test("the server collects by itself where it is told to, and leaves what a sandbox uses or is to be kept", async () => {
  await using collecting = await startBesideRegistry({
    "images.gc.enabled": "true",
    "images.gc.interval": "1s",
    "images.gc.max_age": "1s",
    "images.gc.keep": kept,
  });
  const { run, references } = beside(collecting);
  const eventually = (wanted: readonly string[]) =>
    expect.poll(async () => (await references()).toSorted(), { timeout: 20_000, interval: 200 }).toEqual(wanted);
  const always = ["docker.io/library/alpine:latest", kept].toSorted();
  await run("image", "pull", kept);
  const spawned = await run("spawn", "--image", pulled, "--json");
  const { id } = spawned.json() as { readonly id: string };
  const byDigest = `${pulled.replace(/:1$/, "")}@${await digestOf(pulled)}`;
  await run("image", "pull", byDigest);
  // Used later than the others: the collection that takes it has looked at them before.
  expect(await run("image", "pull", unused)).toMatchObject({ status: 0 });
  await eventually([...always, pulled, byDigest].toSorted());
  expect((await run("exec", id, "--", "cat", "/which")).stdout).toBe(pulled);
  await run("kill", id);
  // Both names lead to one tree; it goes with the sandbox.
  await eventually(always);
});

async function digestOf(reference: string): Promise<string> {
  const [host, name] = [registry.host, reference.slice(registry.host.length + 1).split(":")];
  const accept = { Accept: "application/vnd.oci.image.manifest.v1+json" };
  const answer = await fetch(`http://${host}/v2/${name[0]}/manifests/${name[1]}`, { method: "HEAD", headers: accept });
  return answer.headers.get("docker-content-digest") ?? "";
}
