import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import {
  manifestDigest,
  ociLayout,
  pushLayout,
  type RegistryFixture,
  registryFixture,
  type StoreFixture,
  storeFixture,
} from "../../images/images-fixture.ts";
import { Secret } from "../../lib/secret.ts";
import { sandboxId, sh, signal } from "../contract/suite.testing.ts";
import type { Provider } from "../provider.ts";
import { sandboxSpec } from "../sandbox-spec.testing.ts";
import { engineLacks } from "./docker-engine.testing.ts";
import { type DockerUnderTest, dockerUnderTest } from "./docker-provider.testing.ts";
import type { PullNote } from "./images.ts";

const lacks = engineLacks();
const password = randomBytes(12).toString("hex");
const credentials = `me:${password}`;

describe("images of an engine", () => {
  let under: DockerUnderTest;
  let registry: RegistryFixture;
  let fixture: StoreFixture;
  let digest: string;
  let tree: string;
  let notes: PullNote[] = [];

  const test = (name: string, body: () => Promise<void>): void =>
    it(name, async (context) => {
      if (lacks !== undefined) context.skip(lacks);
      await body();
    });
  const open = async (options: Parameters<StoreFixture["reopen"]>[0] = {}): Promise<Provider> =>
    under.open({ images: await fixture.reopen(options), onNote: (note) => notes.push(note) });
  const trusting = { insecure: [] as string[], credentials: {} as Record<string, Secret> };
  const spec = (imageReference: string) => sandboxSpec({ id: sandboxId(), security: "restricted", imageReference });
  const greeting = async (provider: Provider, reference: string): Promise<string> => {
    const runtime = await provider.spawn(spec(reference), signal());
    try {
      return (await sh(runtime.guest, "cat /greeting")).out;
    } finally {
      await runtime.destroy(signal());
    }
  };
  const remove = async (name: string) => await under.engine.client.getImage(name).remove({ force: true });

  beforeAll(async () => {
    if (lacks !== undefined) return;
    under = await dockerUnderTest();
    fixture = await storeFixture();
    registry = await registryFixture(credentials);
    tree = join(under.dataRoot, "images/busybox");
    await writeFile(join(tree, "greeting"), "from the registry");
    const layer = execFileSync("tar", ["-C", tree, "-cf", "-", "."], { maxBuffer: 64 << 20 });
    const layout = await ociLayout(fixture.directory, [layer]);
    await pushLayout(layout, `${registry.host}/team/app:1`, credentials);
    digest = await manifestDigest(layout);
    trusting.insecure = [registry.host];
    trusting.credentials = { [registry.host]: new Secret(credentials) };
  });

  afterEach(async () => {
    notes = [];
    if (lacks !== undefined) return;
    const provider = await open();
    for (const one of await provider.list(signal())) await provider.reap(one.sandboxId, signal());
    for (const { RepoTags: tags, RepoDigests: digests } of await under.engine.client.listImages()) {
      for (const name of [...(tags ?? []), ...(digests ?? [])]) {
        const isMade = name.startsWith("stacyvm.invalid/workspace:"); // Stands on the others' layers.
        if (isMade || name.startsWith(registry.host)) await remove(name).catch(() => {}); // Its other name may have been the last.
      }
    }
  });

  afterAll(async () => {
    await registry?.[Symbol.asyncDispose]();
    await fixture?.[Symbol.asyncDispose]();
    await under?.close();
  });

  test("are pulled with the configured credentials by host:port/name, by tag and by digest, and then are there", async () => {
    const provider = await open({ registries: trusting });
    expect(await greeting(provider, `${registry.host}/team/app:1`)).toBe("from the registry");
    expect(notes.map(({ phase }) => phase)).toEqual(expect.arrayContaining(["pull", "done"]));
    const asked = registry.requests().length;
    expect(await greeting(provider, `${registry.host}/team/app:1`)).toBe("from the registry");
    expect(registry.requests().length).toBe(asked);
    await remove(`${registry.host}/team/app:1`);
    const runtime = await provider.spawn(spec(`${registry.host}/team/app@${digest}`), signal());
    expect(runtime.image).toMatchObject({ digest, env: { GREETING: "hello world" } });
    await runtime.destroy(signal());
  });

  test("are pulled once, however many sandboxes ask for one at the same time", async () => {
    const provider = await open({ registries: trusting });
    const before = registry.requests().filter((line) => line.includes("/blobs/")).length;
    const all = await Promise.all([1, 2, 3].map(() => greeting(provider, `${registry.host}/team/app:1`)));
    expect(all).toEqual(Array(3).fill("from the registry"));
    // The configuration and the one layer.
    expect(registry.requests().filter((line) => line.includes("/blobs/")).length - before).toBe(2);
    expect(notes.filter(({ phase }) => phase === "done")).toHaveLength(1);
  });

  test("are not pulled with wrong credentials or none, and no word of them is in what is told", async () => {
    const wrong = `me:${password}x`;
    for (const own of [{ [registry.host]: new Secret(wrong) }, {}]) {
      const provider = await open({ registries: { ...trusting, credentials: own } });
      const error = await provider
        .spawn(spec(`${registry.host}/team/app:1`), signal())
        .catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ reason: "image_pull_failed" });
      const told = inspect([error, notes], { depth: 20, showHidden: true });
      for (const secret of [password, Buffer.from(wrong).toString("base64")]) expect(told).not.toContain(secret);
    }
    expect(notes.some(({ phase }) => phase === "failed")).toBe(true);
  });

  test("of a private registry are a tenant's only with a credential of its own, also where the engine has them", async () => {
    const given: Record<string, { readonly id: string; readonly pair: Secret }> = {};
    const tenants = { any: async () => true, credential: async (tenant: string) => given[tenant] };
    const provider = await open({ registries: { ...trusting, credentials: {} }, tenants });
    const reference = `${registry.host}/team/app:1`;
    const spawn = async (tenantId: string): Promise<void> => {
      const runtime = await provider.spawn({ ...spec(reference), tenantId }, signal());
      expect((await sh(runtime.guest, "cat /greeting")).out).toBe("from the registry");
      await runtime.destroy(signal());
    };
    const refused = { reason: expect.stringMatching(/^image_(not_found|pull_failed)$/) };
    given.acme = { id: "regcred-1", pair: new Secret(credentials) };
    await spawn("acme");
    for (const other of ["rival", ""]) await expect(spawn(other)).rejects.toMatchObject(refused);
    given.rival = { id: "regcred-2", pair: new Secret(`me:${password}x`) };
    await expect(spawn("rival")).rejects.toMatchObject(refused);
    given.rival = { id: "regcred-3", pair: new Secret(credentials) };
    await spawn("rival");
    const asked = registry.requests().length;
    for (const tenant of ["acme", "rival"]) await spawn(tenant);
    expect(registry.requests().length).toBe(asked);
  });

  test("are refused from a registry on an internal address that nobody permitted", async () => {
    const asked = registry.requests().length;
    const provider = await open({ registries: { ...trusting, insecure: [] } });
    const refusal = { reason: "image_pull_failed", message: expect.stringContaining("internal address") };
    await expect(provider.spawn(spec(`${registry.host}/team/app:1`), signal())).rejects.toMatchObject(refusal);
    expect(registry.requests().length).toBe(asked);
  });

  test("that no registry has are not found, and a name that is none is refused", async () => {
    const provider = await open({ registries: trusting });
    const missing = provider.spawn(spec(`${registry.host}/team/other:1`), signal());
    await expect(missing).rejects.toMatchObject({ reason: "image_not_found" });
    await expect(provider.spawn(spec("No Name"), signal())).rejects.toMatchObject({ reason: "invalid_input" });
    expect(await provider.list(signal())).toEqual([]);
  });

  test("that only our store has are loaded into the engine once, with their owners and environment", async () => {
    const layer = execFileSync("tar", ["-C", tree, "--owner=1234", "--group=5678", "-cf", "-", "."], {
      maxBuffer: 64 << 20,
    });
    const layout = await ociLayout(fixture.directory, [layer]);
    const stored = await fixture.store.importFrom("stacyvm/base", layout, signal());
    const provider = await open({ aliases: { "short:1": "stacyvm/base" } });
    for (const [i, name] of ["stacyvm/base", "short:1", "stacyvm/base"].entries()) {
      const runtime = await provider.spawn(spec(name), signal());
      expect(runtime.image).toEqual({ digest: stored.digest, env: { GREETING: "hello world" } });
      expect((await sh(runtime.guest, "stat -c '%u %g' /greeting")).out).toBe("1234 5678\n");
      await runtime.destroy(signal());
      const trees = (await under.engine.client.listImages()).filter(({ RepoTags: tags }) =>
        tags?.some((tag) => tag.startsWith("stacyvm.invalid/tree:")),
      );
      expect(trees, `${i}`).toHaveLength(1);
      expect(trees[0]?.Labels).toMatchObject({ "stacyvm.digest": stored.digest });
    }
  });

  test("with a local name that isn't stored are asked of no registry", async () => {
    const provider = await open();
    const refusal = { reason: "image_not_found", remediation: expect.stringContaining("build-base") };
    await expect(provider.spawn(spec("stacyvm/nothing"), signal())).rejects.toMatchObject(refusal);
  });

  test("a tree that can't be read to its end leaves no image in the engine", async () => {
    const broken = {
      name: (reference: string) => ({ reference, isLocal: true }),
      asker: async () => ({ mustAsk: false, knows: () => false, learned: () => {}, login: async () => undefined }),
      useStored: async () => ({
        root: { digest: `sha256:${"1".repeat(64)}`, rootfsPath: join(under.dataRoot, "nothing"), env: {} },
        [Symbol.dispose]() {},
      }),
    };
    const provider = under.open({ images: broken });
    await expect(provider.spawn(spec("broken"), signal())).rejects.toMatchObject({ reason: "spawn_failed" });
    const names = (await under.engine.client.listImages()).flatMap(({ RepoTags }) => RepoTags ?? []);
    expect(names.filter((name) => name.includes("1".repeat(64)))).toEqual([]);
  });

  test("a pull is given up with the spawn that asked for it", async () => {
    const provider = await open({ registries: trusting });
    const away = new AbortController();
    const spawning = provider.spawn(spec(`${registry.host}/team/app:1`), away.signal);
    away.abort(new Error("left"));
    await expect(spawning).rejects.toThrow("left");
    expect(await provider.list(signal())).toEqual([]);
  });

  test("no credential is in the engine's log", async () => {
    const log = await readFile(join(under.engine.directory, "log"), "utf8");
    expect(log).not.toContain(password);
  });
});
