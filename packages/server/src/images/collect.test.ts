import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { CollectOptions, ImageRoot } from "./image-store.ts";
import {
  ociLayout,
  pushLayout,
  type RegistryFixture,
  registryFixture,
  type StoreFixture,
  storeFixture,
} from "./images-fixture.ts";
import { tarOf } from "./tar/tar-fixture.ts";

const signal = AbortSignal.timeout(300_000);
const names = ["one", "two", "three"] as const;
let registry: RegistryFixture;
let source: StoreFixture;

beforeAll(async () => {
  registry = await registryFixture();
  source = await storeFixture();
  for (const name of names) {
    const content = name.repeat(100_000);
    await pushLayout(await ociLayout(source.directory, [tarOf({ name: "which", content })]), image(name));
  }
});

afterAll(async () => {
  await registry?.[Symbol.asyncDispose]();
  await source?.[Symbol.asyncDispose]();
});

const image = (name: string) => `${registry.host}/${name}:1`;

const everything: CollectOptions = { rules: { maxBytes: 0 }, keep: [], inUse: async () => false, signal };

async function opened() {
  let nowMs = 1_000_000;
  const fixture = await storeFixture({
    registries: { insecure: [registry.host] },
    clock: { now: () => nowMs },
  });
  return {
    ...fixture,
    [Symbol.asyncDispose]: () => fixture[Symbol.asyncDispose](),
    later: (ms: number) => {
      nowMs += ms;
    },
    trees: () => readdir(join(fixture.directory, "store", "trees")),
    stored: async () => (await fixture.store.list()).map(({ reference }) => reference).sort(),
    /** As a spawn does, awaited until the use is on record. */
    used: async (name: string) => {
      using use = await fixture.store.use(image(name), signal);
      const lastUse = async () => (await fixture.store.list()).find(({ digest }) => digest === use.root.digest);
      await expect.poll(lastUse).toMatchObject({ lastUsedAtMs: nowMs });
    },
  };
}

test("an image that nobody used for longer than the rule says goes, with its name and its tree", async () => {
  await using fixture = await opened();
  for (const name of names) await fixture.store.pull(image(name), signal);
  fixture.later(50_000);
  await fixture.used("two");
  fixture.later(50_001);
  const rules = { maxAgeMs: 50_001 };
  const would = await fixture.store.collect({ ...everything, rules, dryRun: true });
  expect(await fixture.stored()).toHaveLength(3);
  const did = await fixture.store.collect({ ...everything, rules });
  expect(did).toEqual({ ...would, dryRun: false });
  expect(did.removed.flatMap(({ references }) => references).sort()).toEqual([image("one"), image("three")]);
  expect(did.removed.map(({ reason }) => reason)).toEqual(["age", "age"]);
  expect(await fixture.stored()).toEqual([image("two")]);
  expect(await fixture.trees()).toHaveLength(1);
});

test("above the size, those whose last use is longest ago go until the rest fits", async () => {
  await using fixture = await opened();
  for (const name of names) await fixture.store.pull(image(name), signal);
  for (const name of ["two", "one", "three"]) {
    fixture.later(1_000);
    await fixture.used(name);
  }
  const [{ sizeBytes } = { sizeBytes: 0 }] = await fixture.store.list();
  expect(sizeBytes).toBeGreaterThan(300_000);
  const collected = await fixture.store.collect({ ...everything, rules: { maxBytes: 3 * sizeBytes } });
  expect(collected.removed).toMatchObject([{ references: [image("two")], reason: "size" }]);
  expect(collected.storedBytes).toBeLessThanOrEqual(3 * sizeBytes);
  expect(await fixture.stored()).toEqual([image("one"), image("three")].sort());
});

test("an image to keep stays, and so does an alias's target and what no registry could bring back", async () => {
  await using fixture = await opened();
  const aliased = await fixture.reopen({ aliases: { base: image("two") } });
  for (const name of names) await aliased.pull(image(name), signal);
  const file = join(fixture.directory, "own.tar");
  await writeFile(file, tarOf({ name: "own", content: "own" }));
  await aliased.importFrom("own", file, signal);
  await aliased.collect({ ...everything, keep: ["Not A Reference", image("three")] });
  expect(await fixture.stored()).toEqual(["docker.io/library/own:latest", image("three"), image("two")].sort());
});

test("a tree with two names goes with both, and stays for one of them", async () => {
  await using fixture = await opened();
  const twin = `${registry.host}/twin:1`;
  await pushLayout(
    await ociLayout(fixture.directory, [tarOf({ name: "which", content: "one".repeat(100_000) })]),
    twin,
  );
  await fixture.store.pull(image("one"), signal);
  await fixture.store.pull(twin, signal);
  expect(await fixture.trees()).toHaveLength(1);
  expect((await fixture.store.collect({ ...everything, keep: [twin] })).removed).toEqual([]);
  expect((await fixture.store.collect(everything)).removed).toMatchObject([{ references: [image("one"), twin] }]);
  expect(await fixture.trees()).toEqual([]);
});

test("a tree that lost its name to a newer image goes whatever the rules, unless a sandbox uses it", async () => {
  await using fixture = await opened();
  const file = join(fixture.directory, "own.tar");
  await writeFile(file, tarOf({ name: "own", content: "first" }));
  const first = await fixture.store.importFrom("own", file, signal);
  await writeFile(file, tarOf({ name: "own", content: "second" }));
  await fixture.store.importFrom("own", file, signal);
  const rules = {};
  const inUse = async (digest: string) => digest === first.digest;
  expect((await fixture.store.collect({ ...everything, rules, inUse })).removed).toEqual([]);
  expect((await fixture.store.collect({ ...everything, rules })).removed).toMatchObject([
    { references: [], digest: first.digest, reason: "unnamed" },
  ]);
  expect(await fixture.trees()).toHaveLength(1);
});

test("an image that a sandbox uses stays, and a spawn that comes meanwhile gets it without a pull", async () => {
  await using fixture = await opened();
  await fixture.store.pull(image("one"), signal);
  const asked = registry.requests().length;
  const { promise: spawned, resolve } = Promise.withResolvers<boolean>();
  const inUse = async () => {
    // Here the tree is marked already; the spawn must wait for what comes of it.
    fixture.store.use(image("one"), signal).then((use) => {
      resolve(existsSync(join(use.root.rootfsPath, "which")));
      use[Symbol.dispose]();
    });
    await setImmediate();
    return true;
  };
  expect((await fixture.store.collect({ ...everything, inUse })).removed).toEqual([]);
  expect(await spawned).toBe(true);
  expect(registry.requests().length).toBe(asked);
});

test("a spawn that comes while its image is removed pulls it again", async () => {
  await using fixture = await opened();
  await fixture.store.pull(image("one"), signal);
  let spawned: ReturnType<typeof fixture.store.use> | undefined;
  const inUse = async () => {
    spawned = fixture.store.use(image("one"), signal);
    // Time enough for a spawn that waits for nothing.
    for (let read = 0; read < 50; read++) await fixture.store.list();
    return false;
  };
  expect((await fixture.store.collect({ ...everything, inUse })).removed).toHaveLength(1);
  using use = await spawned;
  expect(await readFile(join(use?.root.rootfsPath ?? "", "which"), "utf8")).toBe("one".repeat(100_000));
});

test("a spawn that has found its image and not begun yet keeps it, also from another process's store", async () => {
  await using fixture = await opened();
  const other = await fixture.reopen();
  {
    using use = await fixture.store.use(image("one"), signal);
    expect((await other.collect(everything)).removed).toEqual([]);
    await expect(other.remove(image("one"), async () => false)).rejects.toMatchObject({ reason: "state_conflict" });
    expect(existsSync(join(use.root.rootfsPath, "which"))).toBe(true);
  }
  expect((await other.collect(everything)).removed).toHaveLength(1);
  expect(await readdir(join(fixture.directory, "store", "pins"))).toEqual([]);
});

test("whatever spawns and collections do at once, no sandbox stands on a tree that is gone", async () => {
  await using fixture = await opened();
  const stores = [fixture.store, await fixture.reopen()];
  const living = new Map<string, number>();
  const change = (digest: string, by: number) => living.set(digest, (living.get(digest) ?? 0) + by);
  const inUse = async (digest: string) => {
    await setImmediate();
    return (living.get(digest) ?? 0) > 0;
  };
  let collections = 0;
  let removals = 0;
  let sandboxes = 0;
  const stands = async ({ rootfsPath }: ImageRoot) => {
    for (let look = 0; look < 20; look++) {
      await setImmediate();
      expect(existsSync(join(rootfsPath, "which"))).toBe(true);
    }
  };
  const spawner = async (lane: number) => {
    for (let round = 0; round < 12; round++) {
      const name = names[(lane + round) % names.length] ?? "one";
      const use = await (stores[lane % 2] ?? fixture.store).use(image(name), signal);
      await stands(use.root);
      change(use.root.digest, 1);
      use[Symbol.dispose]();
      await stands(use.root);
      change(use.root.digest, -1);
      sandboxes++;
    }
  };
  const spawners = Promise.all([0, 1, 2, 3].map(spawner));
  const over = spawners.then(
    () => true,
    () => true,
  );
  let ended = false;
  over.then(() => {
    ended = true;
  });
  while (!ended) {
    const { removed } = await (stores[collections % 2] ?? fixture.store).collect({ ...everything, inUse });
    collections++;
    removals += removed.length;
    await setImmediate();
  }
  await spawners;
  expect(sandboxes).toBe(48);
  expect(removals).toBeGreaterThan(3);
  expect(await readdir(join(fixture.directory, "store", "pins"))).toEqual([]);
  expect(await readdir(join(fixture.directory, "store", "tmp"))).toEqual([]);
});

test("a process killed between marking a tree and removing it leaves an image that serves, and nothing of its own", async () => {
  await using fixture = await opened();
  const { digest } = await fixture.store.pull(image("one"), signal);
  const storeDir = join(fixture.directory, "store");
  const program = `
    import { createImageStore } from ${JSON.stringify(new URL("create-image-store.ts", import.meta.url).href)};
    const store = await createImageStore({ storeDir: ${JSON.stringify(storeDir)}, clock: { now: () => 2_000_000 } });
    await store.collect({ rules: { maxBytes: 0 }, keep: [], signal: AbortSignal.timeout(60_000), inUse: () => {
      console.log("marked");
      return new Promise((resolve) => setTimeout(resolve, 60_000));
    } });
  `;
  const child = spawn(process.execPath, ["--input-type=module-typescript", "--eval", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  await once(child.stdout, "data");
  child.kill("SIGKILL");
  await exited;
  expect(await readdir(join(storeDir, "tmp"))).toHaveLength(1);
  const asked = registry.requests().length;
  using use = await fixture.store.use(image("one"), signal);
  expect(use.root.digest).toBe(digest);
  expect(registry.requests().length).toBe(asked);
  expect(await readdir(join(storeDir, "trees", digest.slice(7)))).toEqual(["rootfs"]);
  await fixture.store.collect(everything);
  expect(await readdir(join(storeDir, "tmp"))).toEqual([]);
});

test("what processes that have ended left half made, an aborted pull's files and pins among it, goes with a collection", async () => {
  await using fixture = await opened();
  const { digest } = await fixture.store.pull(image("one"), signal);
  const store = join(fixture.directory, "store");
  await mkdir(join(store, "tmp", "999999999.1.abcdef", "pulled"), { recursive: true });
  await mkdir(join(store, "pins", `999999999.1.${digest.slice(7)}.abcdef`));
  const collected = await fixture.store.collect(everything);
  expect(collected.removed).toHaveLength(1);
  expect(await readdir(join(store, "tmp"))).toEqual([]);
  expect(await readdir(join(store, "pins"))).toEqual([]);
});
