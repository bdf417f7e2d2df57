import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import type { SessionRecord } from "./session-store.ts";
import type { Store } from "./store.ts";

const start = 1_790_000_000_000;
const hex = (bytes: number): string => randomBytes(bytes).toString("hex");

const session = (change: Partial<SessionRecord> = {}): SessionRecord => ({
  digest: hex(32),
  person: `token:${hex(8)}`,
  role: "operator",
  keyHeader: "Authorization",
  keyId: "",
  tenantId: "acme",
  projectId: "web",
  memberIssuer: "https://issuer.example",
  memberId: "alice",
  ownerId: "alice",
  proof: "",
  createdAtMs: start,
  lastUsedAtMs: start,
  expiresAtMs: start + 1_000_000,
  ...change,
});

/** Browser sessions are kept alike in both databases. */
export const sessionsAreKept = (opened: () => Store): void => {
  test("a session is found by its digest alone, comes back as it was kept, and is deleted once", async () => {
    const { sessions } = opened();
    const one = session();
    await sessions.insert(one, 5);
    expect(await sessions.find(one.digest)).toEqual({ ...one, key: "none" });
    expect(await sessions.find("")).toBeUndefined();
    for (const ms of [5, 9, 7]) await sessions.noteUse(one.digest, start + ms);
    expect(await sessions.find(one.digest)).toMatchObject({ lastUsedAtMs: start + 9 });
    const many = Array.from({ length: 1_200 }, () => hex(32));
    expect(await sessions.lastUses([...many, one.digest])).toEqual(new Map([[one.digest, start + 9]]));
    expect(await sessions.lastUses([])).toEqual(new Map());
    expect([await sessions.delete(one.digest), await sessions.delete(one.digest)]).toEqual([true, false]);
    expect(await sessions.find(one.digest)).toBeUndefined();
  });

  test("a session tells how the named key behind it stands", async () => {
    const { sessions, apiKeys } = opened();
    const keyId = `key-${hex(8)}`;
    const one = session({ keyId });
    await sessions.insert(one, 5);
    expect(await sessions.find(one.digest)).toMatchObject({ key: "revoked" });
    const nobody = { memberIssuer: "", memberId: "" };
    const owner = {
      name: "ci",
      prefix: "svm_abcdefgh",
      role: "operator",
      tenantId: "",
      projectId: "",
      ...nobody,
      createdBy: "admin",
    };

    const times = { createdAtMs: start, expiresAtMs: 0, lastUsedAtMs: 0, revokedAtMs: 0 };
    await apiKeys.insert({ id: keyId, digest: hex(32), ...owner, ...times });
    expect(await sessions.find(one.digest)).toMatchObject({ key: "counts" });
    await apiKeys.revoke(keyId, start + 1);
    expect(await sessions.find(one.digest)).toMatchObject({ key: "revoked" });
  });

  test("of one person the newest sessions stay, of others all", async () => {
    const { sessions } = opened();
    const person = `token:${hex(8)}`;
    const other = session();
    await sessions.insert(other, 2);
    const all = [1, 2, 3, 4].map((at) => session({ person, createdAtMs: start + at }));
    for (const each of all) await sessions.insert(each, 2);
    const found = await Promise.all([...all, other].map(({ digest }) => sessions.find(digest)));
    expect(found.map((each) => each !== undefined)).toEqual([false, false, true, true, true]);
    const late = session({ person, createdAtMs: start - 1 });
    await sessions.insert(late, 2);
    expect(await sessions.find(late.digest)).toBeDefined();
  });

  test("a login is spent once, whoever is first", async () => {
    const { sessions } = opened();
    const digest = hex(32);
    const spent = await Promise.all([1, 2, 3].map(() => sessions.spendLogin(digest, start + 10)));
    expect(spent.filter(Boolean)).toHaveLength(1);
    await sessions.purge(start + 9, 0);
    expect(await sessions.spendLogin(digest, start + 10)).toBe(false);
    await sessions.purge(start + 10, 0);
    expect(await sessions.spendLogin(digest, start + 10)).toBe(true);
  });

  test("what has expired or lain idle is purged, and nothing else", async () => {
    const { sessions } = opened();
    const expired = session({ expiresAtMs: start + 50, lastUsedAtMs: start + 49 });
    const idle = session({ lastUsedAtMs: start + 10 });
    const alive = session({ lastUsedAtMs: start + 11 });
    for (const each of [expired, idle, alive]) await sessions.insert(each, 5);
    const gone = await sessions.purge(start + 50, start + 10);
    expect(gone.map(({ digest }) => digest)).toEqual(expect.arrayContaining([expired.digest, idle.digest]));
    expect(gone.find(({ digest }) => digest === idle.digest)).toEqual({
      ...{ digest: idle.digest, ownerId: "alice", role: "operator", tenantId: "acme" },
      ...{ keyHeader: "Authorization", keyId: "" },
    });
    const found = await Promise.all([expired, idle, alive].map(({ digest }) => sessions.find(digest)));
    expect(found.map((each) => each !== undefined)).toEqual([false, false, true]);
  });
};
