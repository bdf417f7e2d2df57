import { beforeEach, describe, expect, test } from "vitest";
import type { MemberRecord } from "../store/tenant-store.ts";
import type { Role } from "./roles.ts";
import { type Holder, Tenancy } from "./tenancy.ts";

let nowMs = 0;
/** Tenants with their projects; none at all where empty. */
let tenants: Record<string, readonly string[]>;
let members: Pick<MemberRecord, "userId" | "issuer" | "tenantId" | "projectId" | "role">[];
let looks: number;

const store = {
  any: async () => {
    looks += 1;
    return Object.keys(tenants).length > 0;
  },
  get: async (id: string) => (Object.hasOwn(tenants, id) ? ({ id } as never) : undefined),
  getProject: async (tenant: string, id: string) =>
    tenants[tenant]?.includes(id) === true ? ({ id } as never) : undefined,
  membershipsOf: async ({ issuer, userId }: { issuer: string; userId: string }) =>
    members.filter((row) => row.issuer === issuer && row.userId === userId) as MemberRecord[],
};

let tenancy: Tenancy;
beforeEach(() => {
  nowMs += 1_000_000;
  looks = 0;
  tenants = { acme: ["web", "ml"], rival: [] };
  members = [];
  tenancy = new Tenancy({ store, clock: { now: () => nowMs } });
});

const ann = { issuer: "https://issuer", userId: "ann" };
const key = (role: Role, more: Partial<Holder> = {}): Holder => ({
  role,
  tenantId: "",
  projectId: "",
  member: undefined,
  credential: "key",
  ...more,
});
const token = (role: Role, tenantId = ""): Holder => key(role, { tenantId, member: ann, credential: "token" });
const join = (tenantId: string, projectId: string, role: string) => members.push({ ...ann, tenantId, projectId, role });
const at = async (holder: Holder, tenantId = "", projectId = "") => {
  const { role, scope, ofTenant } = await tenancy.stand(holder, { tenantId, projectId });
  return [role, scope, ofTenant];
};
const refusal = (reason: string) => ({ reason });

describe("without any tenant", () => {
  beforeEach(() => {
    tenants = {};
  });

  test("keys see everything, or what a header that is taken at its word names", async () => {
    expect(await at(key("api"))).toEqual(["api", {}, false]);
    expect(await at(key("api"), "label", "web")).toEqual(["api", { tenantId: "label" }, false]);
    expect(await at(key("viewer", { tenantId: "own" }), "label")).toEqual(["viewer", { tenantId: "own" }, true]);
  });

  test("a token is of the tenant that its claim names, whatever the header says", async () => {
    expect(await at(token("operator"), "label")).toEqual(["operator", {}, false]);
    expect(await at(token("operator", "claimed"), "label")).toEqual(["operator", { tenantId: "claimed" }, true]);
  });
});

describe("a key", () => {
  test("of no tenant sees what is of none, and a tenant that its header names where there is one", async () => {
    for (const role of ["api", "admin"] as const) {
      expect(await at(key(role))).toEqual([role, { tenantId: "" }, false]);
      expect(await at(key(role), "acme")).toEqual([role, { tenantId: "acme" }, false]);
      expect(await at(key(role), "acme", "web")).toEqual([role, { tenantId: "acme", projectId: "web" }, false]);
      await expect(at(key(role), "missing")).rejects.toMatchObject(refusal("tenant_not_found"));
      await expect(at(key(role), "rival", "web")).rejects.toMatchObject(refusal("project_not_found"));
    }
  });

  test("of a tenant stays there, and may be narrowed to one of its projects", async () => {
    const own = key("operator", { tenantId: "acme" });
    expect(await at(own, "rival")).toEqual(["operator", { tenantId: "acme" }, true]);
    expect(await at(own, "rival", "web")).toEqual(["operator", { tenantId: "acme", projectId: "web" }, true]);
    await expect(at(own, "", "missing")).rejects.toMatchObject(refusal("project_not_found"));
    const inProject = key("operator", { tenantId: "acme", projectId: "web" });
    expect(await at(inProject, "acme", "ml")).toEqual(["operator", { tenantId: "acme", projectId: "web" }, true]);
  });

  test("of a member is worth no more than the member is now, and nothing once they are none", async () => {
    const own = key("operator", { tenantId: "acme", member: ann });
    await expect(at(own)).rejects.toMatchObject(refusal("unauthenticated"));
    join("acme", "", "viewer");
    tenancy.changed();
    expect(await at(own)).toEqual(["viewer", { tenantId: "acme" }, true]);
    join("acme", "web", "admin");
    tenancy.changed();
    expect(await at(own, "", "web")).toEqual(["operator", { tenantId: "acme", projectId: "web" }, true]);
    members = [];
    nowMs += 5_000;
    await expect(at(own)).rejects.toMatchObject(refusal("unauthenticated"));
  });

  test("names no place longer than one may be", async () => {
    await expect(at(key("api"), "x".repeat(257))).rejects.toMatchObject(refusal("invalid_input"));
    await expect(at(key("api"), "acme", "x".repeat(257))).rejects.toMatchObject(refusal("invalid_input"));
  });
});

describe("a token", () => {
  test("of somebody in no tenant sees what is of none, and administers nothing", async () => {
    expect(await at(token("operator"))).toEqual(["operator", { tenantId: "" }, false]);
    expect(await at(token("tenant_admin"))).toEqual(["operator", { tenantId: "" }, false]);
    await expect(at(token("operator"), "acme")).rejects.toMatchObject(refusal("tenant_not_found"));
  });

  test("is in the tenant of its claim as its groups say, unless a row says otherwise", async () => {
    expect(await at(token("operator", "acme"))).toEqual(["operator", { tenantId: "acme" }, true]);
    expect(await at(token("tenant_admin", "acme"), "acme", "ml")).toEqual([
      "tenant_admin",
      { tenantId: "acme", projectId: "ml" },
      true,
    ]);
    await expect(at(token("operator", "acme"), "rival")).rejects.toMatchObject(refusal("tenant_not_found"));
    await expect(at(token("operator", "missing"))).rejects.toMatchObject(refusal("tenant_not_found"));
    join("acme", "", "viewer");
    tenancy.changed();
    expect(await at(token("tenant_admin", "acme"))).toEqual(["viewer", { tenantId: "acme" }, true]);
  });

  test("of a member is what the row says: another issuer's namesake is nobody", async () => {
    join("acme", "", "admin");
    expect(await at(token("anonymous"))).toEqual(["tenant_admin", { tenantId: "acme" }, true]);
    const namesake = { ...token("anonymous"), member: { ...ann, issuer: "https://other" } };
    expect(await at(namesake)).toEqual(["anonymous", { tenantId: "" }, false]);
    members = [];
    join("acme", "", "king");
    tenancy.changed();
    expect(await at(token("operator"))).toEqual(["anonymous", { tenantId: "acme" }, true]);
  });

  test("of a member of several has to say which, and learns which there are", async () => {
    join("acme", "", "viewer");
    join("rival", "", "operator");
    await expect(at(token("anonymous"))).rejects.toMatchObject({
      reason: "tenant_ambiguous",
      details: { tenants: ["acme", "rival"] },
    });
    expect(await at(token("anonymous"), "rival")).toEqual(["operator", { tenantId: "rival" }, true]);
    expect(await at(token("operator", "acme"))).toEqual(["viewer", { tenantId: "acme" }, true]);
  });

  test("of a member of projects alone sees one of them at a time, and no other", async () => {
    join("acme", "web", "operator");
    const web = ["operator", { tenantId: "acme", projectId: "web" }, true];
    expect(await at(token("anonymous"))).toEqual(web);
    await expect(at(token("anonymous"), "acme", "ml")).rejects.toMatchObject(refusal("project_not_found"));
    join("acme", "ml", "viewer");
    tenancy.changed();
    await expect(at(token("anonymous"))).rejects.toMatchObject({ details: { projects: ["web", "ml"] } });
    expect(await at(token("anonymous"), "acme", "web")).toEqual(web);
  });

  test("of an administrator of the server is so in every tenant", async () => {
    expect(await at(token("admin"))).toEqual(["admin", { tenantId: "" }, false]);
    expect(await at(token("admin"), "acme")).toEqual(["admin", { tenantId: "acme" }, false]);
    expect(await at(token("admin", "acme"), "rival")).toEqual(["admin", { tenantId: "rival" }, false]);
    await expect(at(token("admin"), "missing")).rejects.toMatchObject(refusal("tenant_not_found"));
  });
});

test("what changes here counts at once, and what changes elsewhere within five seconds", async () => {
  tenants = {};
  expect(await at(key("api"))).toEqual(["api", {}, false]);
  tenants = { acme: [] };
  expect(await at(key("api"))).toEqual(["api", {}, false]);
  nowMs += 5_000;
  expect(await at(key("api"))).toEqual(["api", { tenantId: "" }, false]);
  expect(looks).toBe(2);
  tenants = {};
  tenancy.changed();
  expect(await at(key("api"))).toEqual(["api", {}, false]);
});
