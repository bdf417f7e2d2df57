import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import type { RegistryCredentialRecord } from "./registry-credential-store.ts";
import type { Store } from "./store.ts";

const start = 1_790_000_000_000;
const hex = (bytes: number): string => randomBytes(bytes).toString("hex");

/** Tenants' credentials for registries are kept alike in both databases. */
export const registryCredentialsAreKept = (opened: () => Store): void => {
  test("a credential is its tenant's and its registry's, is replaced as a whole, and ends with the tenant", async () => {
    const { registryCredentials: kept, tenants } = opened();
    const [own, other] = [`t-${hex(4)}`, `t-${hex(4)}`];
    const times = { createdAtMs: start, updatedAtMs: start };
    for (const id of [own, other]) await tenants.insert({ id, name: id, ownerId: "", settings: "{}", ...times });
    const credential = (tenantId: string, registry: string): RegistryCredentialRecord => ({
      ...{ id: `regcred-${hex(8)}`, tenantId, registry, username: "me", sealed: hex(20) },
      ...{ createdBy: "ann", createdAtMs: start },
    });
    const [first, second, elsewhere] = [
      credential(own, "b.test"),
      credential(own, "a.test"),
      credential(other, "b.test"),
    ];
    for (const each of [first, second, elsewhere]) await kept.save(each);
    expect(await kept.list(own)).toEqual([second, first]);
    expect(await kept.find(own, "b.test")).toEqual(first);
    expect(await kept.find(own, "c.test")).toBeUndefined();
    const anew = { ...credential(own, "b.test"), createdAtMs: start + 1 };
    await kept.save(anew);
    expect(await kept.list(own)).toEqual([second, anew]);
    expect(await kept.replaceSealed(anew.id, "another", "new")).toBe(false);
    expect(await kept.replaceSealed(anew.id, anew.sealed, "new")).toBe(true);
    expect(await kept.find(own, "b.test")).toEqual({ ...anew, sealed: "new" });
    const ids: string[] = [];
    for (let page = await kept.page("", 2); page.length > 0; page = await kept.page(ids.at(-1) ?? "", 2)) {
      ids.push(...page.map(({ id }) => id));
    }
    expect(ids).toEqual([...new Set(ids)].toSorted());
    expect(ids).toEqual(expect.arrayContaining([second.id, anew.id, elsewhere.id]));
    expect([await kept.delete(own, "a.test"), await kept.delete(own, "a.test")]).toEqual([true, false]);
    await expect(kept.save(credential("t-none", "b.test"))).rejects.toMatchObject({ reason: "tenant_not_found" });
    expect(await tenants.delete(own)).toBe("deleted");
    expect(await kept.list(own)).toEqual([]);
    expect(await kept.list(other)).toEqual([elsewhere]);
  });
};
