import type { Permission, StacyError } from "@stacyvm/contract";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ApiKeys } from "../auth/api-keys.ts";
import { Sessions } from "../auth/sessions.ts";
import { Tenancy } from "../auth/tenancy.ts";
import { randomIds } from "../lib/id.ts";
import { createStore } from "../store/create-store.ts";
import type { Store } from "../store/store.ts";
import { credentialUnknownMaxMs } from "./bounds.ts";
import { createCredentialWatch } from "./credential-watch.ts";
import { createAuthenticator, type Identity } from "./identity.ts";
import { createInFlight, ServedRequest } from "./in-flight.ts";

let nowMs = 1_800_000_000_000;
const clock = { now: () => nowMs };
const plainKey = "k".repeat(40);
let store: Store;
let watch: ReturnType<typeof createCredentialWatch>;
let keys: ApiKeys;
let tenancy: Tenancy;
let inFlight: ReturnType<typeof createInFlight>;
let authenticator: ReturnType<typeof createAuthenticator>;

beforeEach(async () => {
  store = await createStore({ database: { driver: "sqlite", path: ":memory:" }, nowMs });
  keys = new ApiKeys({ store: store.apiKeys, clock, ids: randomIds });
  tenancy = new Tenancy({ store: store.tenants, clock });
  const rules = { configuredKeys: [], idleMs: 10_000, absoluteMs: 10_000, perPerson: 9 };
  const sessions = new Sessions({ store: store.sessions, clock, ids: randomIds, ...rules });
  inFlight = createInFlight();
  const rest = { onFailure: () => {}, onEnded: () => {} };
  watch = createCredentialWatch({ inFlight, keys, sessions, tenancy, clock, ...rest });
  authenticator = createAuthenticator({ apiKey: plainKey, adminKey: "", adminFallback: true, named: keys, tenancy });
});
afterEach(() => store[Symbol.asyncDispose]());

interface Opened {
  readonly told: () => StacyError | undefined;
  readonly cuts: () => number;
}

/** A request that is being served for whoever sends the key. */
const open = async (key: string, { begun = true, permission = "exec:write" as Permission, change = {} } = {}) => {
  let told: StacyError | undefined;
  let cuts = 0;
  const served = new ServedRequest({ begun, end: (reason) => (told = reason), cut: () => (cuts += 1) });
  const identity: Identity = { ...(await authenticator.identify({ "x-api-key": key })), ...change };
  served.visitor = { identity, permission };
  inFlight.add(served);
  return { told: () => told, cuts: () => cuts } satisfies Opened;
};
const newKey = async () => {
  const more = { tenantId: "", projectId: "", ttlMs: 0, createdBy: "root" };
  const { key, record } = await keys.create({ name: "ci", role: "operator", ...more });
  return { key: key.reveal(), id: record.id };
};
const addTenant = async (id: string) => {
  const times = { createdAtMs: nowMs, updatedAtMs: nowMs };
  await store.tenants.insert({ id, name: id, ownerId: "", settings: "{}", ...times });
  tenancy.changed();
};

test("an answer that has begun ends with its key; one that doesn't end by itself is cut two seconds later", async () => {
  const { key, id } = await newKey();
  const open1 = await open(key);
  await watch.round();
  expect(open1.told()).toBeUndefined();
  await keys.revoke(id);
  await watch.round();
  expect(open1.told()).toMatchObject({ reason: "unauthenticated" });
  nowMs += 1_999;
  await watch.round();
  expect(open1.cuts()).toBe(0);
  nowMs += 1;
  await watch.round();
  expect(open1.cuts()).toBe(1);
});

test("a request that takes a moment, as the one that revokes its own key, is left to answer; one that takes longer is not", async () => {
  const { key, id } = await newKey();
  const brief = await open(key, { begun: false });
  await keys.revoke(id);
  await watch.round();
  expect(brief.told()).toBeUndefined();
  nowMs += 2_000;
  await watch.round();
  expect(brief.told()).toMatchObject({ reason: "unauthenticated" });
});

test("without a database nothing ends for a minute but what ends by the clock, and then everything does", async () => {
  const { key } = await newKey();
  const [stays, expires] = [await open(key), await open(key, { change: { endsAtMs: nowMs + 5_000 } })];
  await watch.round();
  await store[Symbol.asyncDispose]();
  nowMs += 5_000;
  await expect(watch.round()).rejects.toThrow();
  expect([stays.told(), expires.told()]).toEqual([undefined, expect.objectContaining({ reason: "unauthenticated" })]);
  nowMs += credentialUnknownMaxMs - 5_001;
  await expect(watch.round()).rejects.toThrow();
  expect(stays.told()).toBeUndefined();
  nowMs += 1;
  await expect(watch.round()).rejects.toThrow();
  expect(stays.told()).toMatchObject({ reason: "store_unavailable" });
});

test("a configured key's answers end with the first tenant, from when on it sees less, and not otherwise", async () => {
  const one = await open(plainKey, { permission: "config:admin" });
  await watch.round();
  expect(one.told()).toBeUndefined();
  await addTenant("acme");
  await watch.round();
  expect(one.told()).toMatchObject({ reason: "unauthenticated" });
  const other = await open(plainKey);
  await addTenant("rival");
  await watch.round();
  expect(other.told()).toBeUndefined();
});

test("what a signature opens, and what is open to everybody, is nobody's to end", async () => {
  const { key, id } = await newKey();
  const all = [await open(key, { permission: "signature" }), await open(key, { permission: "public" })];
  await keys.revoke(id);
  await watch.round();
  expect(all.map(({ told }) => told())).toEqual([undefined, undefined]);
});
