import { randomBytes } from "node:crypto";
import { StacyError } from "@stacyvm/contract";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Secret } from "../lib/secret.ts";
import { tenantRegistries } from "../orchestrator/tenant-registries.ts";
import { createStore } from "../store/create-store.ts";
import type { SecretRef } from "../store/secret-store.ts";
import type { Store } from "../store/store.ts";
import { createVault } from "./create-vault.ts";
import { createSealer, type Sealer } from "./seal.ts";

const start = 1_790_000_000_000;
const key = (letter: string): Secret => new Secret(letter.repeat(40));
const place = { tenantId: "", projectId: "" };

let store: Store;
const dsn = { driver: "sqlite", path: ":memory:" } as const;
beforeAll(async () => {
  store = await createStore({ database: dsn, nowMs: start });
});
afterAll(async () => await store[Symbol.asyncDispose]());

const vaultWith = (
  sealer: Sealer | undefined,
  { kept = [], own = store, secrets = own.secrets }: { kept?: string[]; own?: Store; secrets?: Store["secrets"] } = {},
) => {
  const registries = tenantRegistries(own, sealer);
  const onKept = (about: string) => void kept.push(about);
  const otherRows = registries.sealedRows;
  return { registries, ...createVault({ store: secrets, sealer, otherRows, onKept, clock: { now: () => start } }) };
};
const unique = (): SecretRef => ({ ...place, name: `KEY_${randomBytes(6).toString("hex")}` });
const content = (value: string, owners: readonly string[] = []) => ({
  value: new Secret(value),
  hosts: ["API.example.com"],
  owners,
});

test("a secret is opened with its version and hosts for who may use it, and for others there is none", async () => {
  const vault = vaultWith(createSealer(key("k")));
  const [ref, other] = [unique(), unique()];
  await vault.save(ref, content("first"), "bob");
  const { createdAtMs } = await vault.save(ref, content("second", ["ann"]), "bob");
  const found = await vault.find(place, "ann", ref.name);
  expect(found).toMatchObject({ version: `${createdAtMs}.2`, hosts: ["api.example.com:443"] });
  expect(found?.value.reveal()).toBe("second");
  expect(await vault.find(place, "ann", other.name)).toBeUndefined();
  expect(await vault.find(place, "eve", ref.name)).toBeUndefined();
  expect(await vault.find(place, "", ref.name)).toBeUndefined();
  expect(await vault.find({ ...place, tenantId: "acme" }, "ann", ref.name)).toBeUndefined();
});

test("sealed text that is moved to another secret's row doesn't open", async () => {
  const vault = vaultWith(createSealer(key("k")));
  const [ref, other] = [unique(), unique()];
  const [one, two] = [await vault.save(ref, content("mine"), "bob"), await vault.save(other, content("its"), "bob")];
  await store.secrets.replaceSealed(other, two.sealed, one.sealed);
  await expect(vault.find(place, "", other.name)).rejects.toMatchObject({ reason: "secret_unreadable" });
});

test("without the key nothing is kept or opened, and under another one it is said which setting helps", async () => {
  const ref = unique();
  await vaultWith(createSealer(key("k"))).save(ref, content("value"), "bob");
  const bare = vaultWith(undefined);
  for (const call of [
    () => bare.save(unique(), content("value"), "bob"),
    () => bare.find(place, "", ref.name),
    () => bare.rotate(),
  ]) {
    await expect(call()).rejects.toMatchObject({ reason: "secrets_key_missing" });
  }
  await expect(vaultWith(createSealer(key("x"))).find(place, "", ref.name)).rejects.toMatchObject({
    reason: "secret_unreadable",
    remediation: expect.stringContaining("server.previous_secrets_keys"),
  });
});

test("who listens is told of what was saved or deleted, and of nothing that was refused", async () => {
  const vault = vaultWith(createSealer(key("k")));
  const told: SecretRef[] = [];
  vault.onChange((ref) => told.push(ref));
  const ref = unique();
  await vault.save(ref, content("value"), "bob");
  await expect(vault.save(ref, { ...content("value"), hosts: ["*.example.com"] }, "bob")).rejects.toThrow();
  await expect(vault.save(ref, content("value", ["a b"]), "bob")).rejects.toThrow("owner_id");
  expect(await vault.delete(ref)).toBe(true);
  expect(await vault.delete(ref)).toBe(false);
  expect(told).toEqual([ref, ref]);
});

test("a rotation that is cut off goes on at the next call, and counts and keeps what no key opens", async () => {
  await using own = await createStore({ database: dsn, nowMs: start });
  const [old, lost] = [vaultWith(createSealer(key("o")), { own }), vaultWith(createSealer(key("l")), { own })];
  const refs = Array.from({ length: 205 }, (_, at) => ({
    tenantId: `t-${at % 2}`,
    projectId: "",
    name: `KEY_${at}`,
  }));
  for (const ref of refs) await old.save(ref, content(ref.name), "bob");
  const gone = { ...place, name: "GONE" };
  await lost.save(gone, content("gone"), "bob");
  const credential = {
    id: "regcred-1",
    tenantId: "t-0",
    registry: "a.test",
    username: "me",
    createdBy: "bob",
    createdAtMs: start,
  };
  const sealed = old.registries.seal?.(new Secret("password"), "t-0", "a.test") ?? "";
  await own.registryCredentials.save({ ...credential, sealed });

  const sealer = createSealer(key("n"), [key("o")]);
  let left = 150;
  const failing = {
    ...own.secrets,
    replaceSealed: (...all: Parameters<typeof own.secrets.replaceSealed>) => {
      left -= 1;
      return left < 0 ? Promise.reject(new StacyError("store_unavailable", "gone")) : own.secrets.replaceSealed(...all);
    },
  };
  await expect(vaultWith(sealer, { own, secrets: failing }).rotate()).rejects.toMatchObject({
    reason: "store_unavailable",
  });
  const kept: string[] = [];
  const now = vaultWith(sealer, { own, kept });
  expect(await now.rotate()).toEqual({ resealed: 205 - 150 + 1, kept: 1 });
  expect(kept).toEqual([JSON.stringify(["secret", "", "", "GONE"])]);
  expect(await now.rotate()).toEqual({ resealed: 0, kept: 1 });

  const alone = vaultWith(createSealer(key("n")), { own });
  for (const { name, ...where } of refs) {
    const found = await alone.find(where, "", name);
    expect([found?.value.reveal(), found?.version.split(".")[1]]).toEqual([name, "1"]);
  }
  expect((await alone.registries.credential("t-0", "a.test"))?.pair.reveal()).toBe("me:password");
  expect((await lost.find(place, "", "GONE"))?.value.reveal()).toBe("gone");
});
