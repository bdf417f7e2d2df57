import { expect, test } from "vitest";
import { apiKey } from "./api-key-record.testing.ts";
import type { ApiKeyRecord, Store } from "./store.ts";

const start = 1_790_000_000_000;

/** Named keys are kept alike in both databases. */
export const apiKeysAreKept = (opened: () => Store): void => {
  test("a key is found by its digest alone, and comes back as it was kept", async () => {
    const { apiKeys } = opened();
    const key = apiKey({ expiresAtMs: start + 1 });
    await apiKeys.insert(key);
    expect(await apiKeys.findByDigest(key.digest)).toEqual(key);
    expect(await apiKeys.findByDigest(key.id)).toBeUndefined();
    expect(await apiKeys.findByDigest("")).toBeUndefined();
    await expect(apiKeys.insert({ ...apiKey(), digest: key.digest })).rejects.toMatchObject({
      reason: "already_exists",
    });
    await expect(apiKeys.insert({ ...apiKey(), id: key.id })).rejects.toMatchObject({ reason: "already_exists" });
  });

  test("keys are listed newest first, revoked ones among them, and revoked once", async () => {
    const { apiKeys } = opened();
    const all = [apiKey({ createdAtMs: start + 9_001 }), apiKey({ createdAtMs: start + 9_002 })];
    for (const key of all) await apiKeys.insert(key);
    const [older, newer] = all as [ApiKeyRecord, ApiKeyRecord];
    expect(await apiKeys.revoke(older.id, start + 5)).toEqual({ ...older, revokedAtMs: start + 5 });
    expect(await apiKeys.revoke(older.id, start + 6)).toEqual({ ...older, revokedAtMs: start + 5 });
    expect(await apiKeys.revoke("key-none", start)).toBeUndefined();
    const many = Array.from({ length: 1_200 }, (_, at) => `key-none-${at}`);
    expect(await apiKeys.unrevoked([older.id, ...many, newer.id])).toEqual(new Set([newer.id]));
    expect(await apiKeys.unrevoked([])).toEqual(new Set());
    const ids = (await apiKeys.list()).map(({ id }) => id);
    expect(ids.filter((id) => id === older.id || id === newer.id)).toEqual([newer.id, older.id]);
  });

  test("the time of a key's last use never goes back", async () => {
    const { apiKeys } = opened();
    const key = apiKey();
    await apiKeys.insert(key);
    for (const ms of [5, 9, 7]) await apiKeys.noteUse(key.id, start + ms);
    expect(await apiKeys.findByDigest(key.digest)).toMatchObject({ lastUsedAtMs: start + 9 });
  });
};
