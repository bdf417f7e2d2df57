import { randomBytes } from "node:crypto";
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { Secret } from "../lib/secret.ts";
import { imageWordMs, type TenantCredential } from "./image-askers.ts";
import type { ImageStore } from "./image-store.ts";
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
const users = ["me", "acme", "rival"].map((name) => `${name}:${randomBytes(12).toString("hex")}`);
const [me = "", acme = "", rival = ""] = users;
let registry: RegistryFixture;
let source: StoreFixture;
let fixture: StoreFixture;
let nowMs = 1_000_000;
let anyTenants: boolean;
let given: Record<string, TenantCredential>;
const tenants = {
  any: async () => anyTenants,
  credential: async (tenantId: string, host: string) => (host === registry.host ? given[tenantId] : undefined),
};
const clock = { now: () => nowMs };
const credential = (pair: string): TenantCredential => ({
  id: `regcred-${randomBytes(4).toString("hex")}`,
  pair: new Secret(pair),
});
const open = (more: object = {}) =>
  fixture.reopen({ clock, tenants, registries: { insecure: [registry.host] }, ...more });
const server = (more: object = {}) =>
  open({ registries: { insecure: [registry.host], credentials: { [registry.host]: new Secret(me) }, ...more } });
const greeting = async (store: ImageStore, tenantId: string, name = "app:1"): Promise<string> => {
  using use = await store.use(`${registry.host}/${name}`, signal, { tenantId });
  return await readFile(join(use.root.rootfsPath, "greeting"), "utf8");
};
const push = async (content: string, name = "app:1") =>
  await pushLayout(
    await ociLayout(source.directory, [tarOf({ name: "greeting", content })]),
    `${registry.host}/${name}`,
    me,
  );
const asked = () => registry.requests().length;
const wantsCredentials = {
  reason: "image_not_found",
  message: expect.stringContaining("or wants credentials for it"),
  remediation: expect.stringContaining("PUT /api/v1/tenant/registry-credentials/"),
};

beforeAll(async () => {
  registry = await registryFixture(...users);
  source = await storeFixture();
});
beforeEach(async () => {
  fixture = await storeFixture();
  anyTenants = true;
  given = {};
  await push("hello");
});
afterEach(() => fixture[Symbol.asyncDispose]());
afterAll(async () => {
  await source?.[Symbol.asyncDispose]();
  await registry?.[Symbol.asyncDispose]();
});

test("a tenant's private image is another's only with a credential of its own that the registry accepts", async () => {
  const store = await open();
  given = { acme: credential(acme) };
  expect(await greeting(store, "acme")).toBe("hello");
  await expect(greeting(store, "rival")).rejects.toMatchObject(wantsCredentials);
  given = { ...given, rival: credential(`${rival}x`) };
  await expect(greeting(store, "rival")).rejects.toMatchObject({
    reason: "image_pull_failed",
    message: expect.stringContaining("refused the tenant's registry credential"),
  });
  given = { ...given, rival: credential(rival) };
  expect(await greeting(store, "rival")).toBe("hello");
  await expect(greeting(store, "")).rejects.toMatchObject({ reason: "image_not_found" });
});

test("who pulled it isn't asked about again; of whom else the registry's word counts for ten minutes", async () => {
  const store = await open();
  given = { acme: credential(acme), rival: credential(rival) };
  await greeting(store, "acme");
  await greeting(store, "rival");
  const before = asked();
  nowMs += imageWordMs - 1;
  await greeting(store, "acme");
  await greeting(store, "rival");
  expect(asked()).toBe(before);
  nowMs += 1;
  await greeting(store, "acme");
  expect(asked()).toBe(before);
  await greeting(store, "rival");
  expect(asked()).toBeGreaterThan(before);
});

test("another credential is another asker: a tenant of the same name that comes later has nothing of the first's", async () => {
  const store = await open();
  given = { acme: credential(acme) };
  await greeting(store, "acme");
  given = {};
  await expect(greeting(store, "acme")).rejects.toMatchObject(wantsCredentials);
  given = { acme: credential(`${acme}x`) };
  await expect(greeting(store, "acme")).rejects.toMatchObject({ reason: "image_pull_failed" });
});

test("the server's own credentials are for callers of no tenant, and for all while there is none", async () => {
  const store = await server();
  expect(await greeting(store, "")).toBe("hello");
  await expect(greeting(store, "acme")).rejects.toMatchObject(wantsCredentials);
  anyTenants = false;
  expect(await greeting(store, "acme")).toBe("hello");
  expect((await store.list()).map((image) => Object.keys(image).includes("access"))).toEqual([false]);
});

test("a registry that can't be asked lets nobody have what somebody else pulled, and says so", async () => {
  const away = await registryFixture(me, acme);
  await pushLayout(
    await ociLayout(source.directory, [tarOf({ name: "greeting", content: "hi" })]),
    `${away.host}/app:1`,
    me,
  );
  const ids = { acme: credential(acme), rival: credential(me) } as Record<string, TenantCredential>;
  const of = { any: async () => true, credential: async (tenant: string) => ids[tenant] };
  const store = await open({ registries: { insecure: [away.host] }, tenants: of });
  const use = (tenantId: string) => store.use(`${away.host}/app:1`, signal, { tenantId });
  (await use("acme"))[Symbol.dispose]();
  await away[Symbol.asyncDispose]();
  await expect(use("rival")).rejects.toMatchObject({
    reason: "image_pull_failed",
    message: expect.stringContaining("it doesn't answer"),
  });
  (await use("acme"))[Symbol.dispose]();
});

test("what was pulled as nobody, imported or made here is everybody's, and no registry is asked", async () => {
  const open_ = await registryFixture();
  const layout = await ociLayout(source.directory, [tarOf({ name: "greeting", content: "public" })]);
  await pushLayout(layout, `${open_.host}/app:1`);
  const store = await open({ registries: { insecure: [open_.host] } });
  using first = await store.use(`${open_.host}/app:1`, signal, { tenantId: "acme" });
  await store.importFrom("mine:1", layout, signal);
  await open_[Symbol.asyncDispose]();
  for (const name of [`${open_.host}/app:1`, "mine:1"]) {
    using again = await store.use(name, signal, { tenantId: "rival" });
    expect(again.root.digest).toBe(first.root.digest);
  }
});

test("two tenants who ask at once don't share one's pull", async () => {
  const store = await open();
  given = { acme: credential(acme) };
  const [first, second] = await Promise.allSettled([greeting(store, "acme"), greeting(store, "rival")]);
  expect([first, second]).toMatchObject([
    { status: "fulfilled", value: "hello" },
    { status: "rejected", reason: wantsCredentials },
  ]);
});

test("a tag that has moved is not what was pulled: who may only have the new one gets the new one", async () => {
  const store = await open();
  given = { acme: credential(acme), rival: credential(rival) };
  await push("old", "moved:1");
  expect(await greeting(store, "acme", "moved:1")).toBe("old");
  // The registry forgets the old manifest, as after its garbage collection.
  await push("new", "moved:1");
  const refs = join(fixture.directory, "store/refs");
  const [text = ""] = await Promise.all((await readdir(refs)).map((file) => readFile(join(refs, file), "utf8")));
  const { manifest } = JSON.parse(text).access;
  const revisions = join(registry.directory, "docker/registry/v2/repositories/moved/_manifests/revisions");
  await rm(join(revisions, manifest.replace(":", "/")), { recursive: true });
  expect(await greeting(store, "rival", "moved:1")).toBe("new");
});
