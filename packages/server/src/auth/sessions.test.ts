import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { randomIds } from "../lib/id.ts";
import { Secret } from "../lib/secret.ts";
import { createStore } from "../store/create-store.ts";
import type { Store } from "../store/store.ts";
import { ApiKeys } from "./api-keys.ts";
import { type NewSession, Sessions, type SessionsOptions } from "./sessions.ts";

let store: Store;
let nowMs = 1_800_000_000_000;
const clock = { now: () => nowMs };
const [apiKey, adminKey] = [new Secret("k".repeat(40)), new Secret("a".repeat(40))];
const open = (change: Partial<SessionsOptions> = {}) =>
  new Sessions({
    store: store.sessions,
    clock,
    ids: randomIds,
    configuredKeys: [
      { key: apiKey, role: "api" },
      { key: adminKey, role: "admin" },
    ],
    idleMs: 3_600_000,
    absoluteMs: 43_200_000,
    perPerson: 100,
    ...change,
  });
const nobody = { projectId: "", member: undefined };
const alice: NewSession = {
  holder: { role: "operator", keyHeader: "Authorization", keyId: "", tenantId: "acme", ...nobody, ownerId: "alice" },
  credentialEndsAtMs: 0,
  sentKeys: [],
};
const keyHolder: NewSession["holder"] = {
  ...{ role: "api", keyHeader: "X-API-Key", keyId: "", tenantId: "", ...nobody, ownerId: "" },
};
const ended = { reason: "unauthenticated" };

beforeAll(async () => {
  store = await createStore({ database: { driver: "sqlite", path: ":memory:" }, nowMs });
});
afterAll(() => store[Symbol.asyncDispose]());
beforeEach(() => {
  nowMs += 86_400_000;
});

test("a session's id is 256 random bits, and nothing in the database opens anything", async () => {
  const sessions = open();
  const { id, session } = await sessions.create(alice);
  expect(id.reveal()).toMatch(/^[A-Za-z0-9_-]{43}$/);
  expect(JSON.stringify(await store.sessions.find(session.digest))).not.toContain(id.reveal());
  for (const stolen of [session.digest, session.digest.slice(0, 43), "", `${id.reveal()}=`]) {
    await expect(sessions.identify(stolen)).rejects.toMatchObject(ended);
  }
  expect(await sessions.identify(id.reveal())).toEqual({ ...alice.holder, ...session });
});

test("a session ends when it lies idle, not while it is used, and after its whole time however much it is used", async () => {
  const sessions = open();
  const { id } = await sessions.create(alice);
  for (let at = 0; at < 12; at++) {
    nowMs += 3_599_000;
    await sessions.identify(id.reveal());
  }
  nowMs += 11_999;
  await sessions.identify(id.reveal());
  nowMs += 1;
  await expect(sessions.identify(id.reveal())).rejects.toMatchObject(ended);

  const idle = await sessions.create(alice);
  nowMs += 3_600_000;
  await expect(sessions.identify(idle.id.reveal())).rejects.toMatchObject(ended);
  await expect(open().identify(idle.id.reveal())).rejects.toMatchObject(ended);
});

test("a use on another server keeps a session alive here", async () => {
  const [here, there] = [open(), open()];
  const { id } = await here.create(alice);
  await here.identify(id.reveal());
  nowMs += 3_000_000;
  await there.identify(id.reveal());
  nowMs += 3_000_000;
  expect(await here.identify(id.reveal())).toMatchObject({ ownerId: "alice" });
});

test("a session ends with the token that began it", async () => {
  const sessions = open();
  const { id, session } = await sessions.create({ ...alice, credentialEndsAtMs: nowMs + 60_000 });
  expect(session.expiresAtMs).toBe(nowMs + 60_000);
  nowMs += 59_999;
  await sessions.identify(id.reveal());
  nowMs += 1;
  await expect(sessions.identify(id.reveal())).rejects.toMatchObject(ended);
});

test("a session ends at once where it or its key is ended, and within five seconds on another server", async () => {
  const [here, there] = [open(), open()];
  const keys = new ApiKeys({ store: store.apiKeys, clock, ids: randomIds, onRevoked: () => here.forget() });
  const { record } = await keys.create({
    name: "ci",
    role: "operator",
    tenantId: "",
    projectId: "",
    ttlMs: 0,
    createdBy: "admin",
  });
  const byKey = await here.create({ ...alice, holder: { ...keyHolder, role: "operator", keyId: record.id } });
  const byToken = await here.create(alice);
  const all = [byKey.id.reveal(), byToken.id.reveal()];
  for (const id of all) for (const each of [here, there]) await each.identify(id);
  await keys.revoke(record.id);
  await here.end(byToken.session.digest);
  for (const id of all) await expect(here.identify(id)).rejects.toMatchObject(ended);
  nowMs += 5_000;
  for (const id of all) await expect(there.identify(id)).rejects.toMatchObject(ended);
});

test("a session by a configured key counts while that key is configured, for that role", async () => {
  const { id, session } = await open().create({ ...alice, holder: keyHolder, sentKeys: [adminKey.reveal()] });
  expect(session.role).toBe("admin");
  expect(JSON.stringify(await store.sessions.find(session.digest))).not.toContain(adminKey.reveal());
  expect(await open().identify(id.reveal())).toMatchObject({ role: "admin" });
  const changed = open({ configuredKeys: [{ key: apiKey, role: "admin" }] });
  await expect(changed.identify(id.reveal())).rejects.toMatchObject(ended);
  const demoted = open({ configuredKeys: [{ key: adminKey, role: "api" }] });
  await expect(demoted.identify(id.reveal())).rejects.toMatchObject(ended);
  await expect(open().create({ ...alice, holder: keyHolder, sentKeys: ["wrong"] })).rejects.toMatchObject(ended);
});

test("a login ends the session that it replaces, and rows of ended sessions go", async () => {
  const sessions = open();
  const first = await sessions.create(alice);
  const second = await sessions.create({ ...alice, replaces: first.id.reveal() });
  await expect(sessions.identify(first.id.reveal())).rejects.toMatchObject(ended);
  await sessions.identify(second.id.reveal());
  nowMs += 3_600_000;
  await sessions.purge();
  expect(await store.sessions.find(second.session.digest)).toBeUndefined();
});
