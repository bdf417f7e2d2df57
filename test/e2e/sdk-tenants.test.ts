import pino from "pino";
import { Client } from "stacyvm";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startServer, type TestServer } from "./server.ts";

const adminKey = "a".repeat(40);
const issuer = "https://login.example.com";
let server: TestServer;
let admin: Client;

beforeAll(async () => {
  // A change of settings wakes a silent log up.
  const log = pino({ level: "info" }, { write: () => {} });
  server = await startServer({ config: { "auth.admin_api_key": adminKey, "server.secrets_key": "e".repeat(40) }, log });
  admin = new Client({ baseUrl: server.url, adminApiKey: adminKey });
});
afterAll(() => server?.[Symbol.asyncDispose]());

/** A client with a named key of its own. */
const holder = async (role: "operator" | "tenant_admin", tenant_id: string, project_id?: string) => {
  const { key } = await admin.apiKeys.create(role, { role, tenant_id, project_id });
  return new Client({ baseUrl: server.url, apiKey: key });
};

const refusal = (statusCode: number, reason: string, details?: object) =>
  expect.objectContaining({ statusCode, reason, ...(details === undefined ? {} : { details }) });

test("tenants are made, listed, changed and deleted, and each refusal has its reason", async () => {
  expect(await admin.tenants.list()).toEqual([]);
  const made = await admin.tenants.create("Acme", { id: "acme", owner_id: "ann", settings: { tier: "gold" } });
  expect(made).toMatchObject({ id: "acme", name: "Acme", owner_id: "ann", settings: '{"tier":"gold"}' });
  const unnamed = await admin.tenants.create("Rival");
  expect(unnamed.id).toMatch(/^tenant-[0-9a-f]{8}$/);
  expect((await admin.tenants.list()).map(({ id }) => id)).toEqual([unnamed.id, "acme"]);
  expect(await admin.tenants.update("acme", { name: "Acme Inc." })).toMatchObject({
    name: "Acme Inc.",
    owner_id: "ann",
  });
  expect(await admin.tenants.get("acme")).toMatchObject({ name: "Acme Inc.", settings: '{"tier":"gold"}' });
  await expect(admin.tenants.create("Acme", { id: "acme" })).rejects.toEqual(refusal(409, "already_exists"));
  await expect(admin.tenants.create("Acme", { id: "a/b" })).rejects.toEqual(refusal(400, "invalid_input"));
  for (const call of [
    () => admin.tenants.get("none"),
    () => admin.tenants.update("none", { name: "x" }),
    () => admin.tenants.delete("none"),
    () => admin.tenants.projects("none").list(),
    () => admin.tenants.members("none").list(),
  ])
    await expect(call()).rejects.toEqual(refusal(404, "tenant_not_found"));
  const bob = await holder("tenant_admin", "acme");
  await expect(bob.tenants.list()).rejects.toEqual(refusal(403, "permission_denied"));
  await expect(bob.tenants.delete(unnamed.id, { cascade: true })).rejects.toEqual(refusal(403, "permission_denied"));
  await admin.tenants.delete(unnamed.id);
  await expect(admin.tenants.get(unnamed.id)).rejects.toEqual(refusal(404, "tenant_not_found"));
});

test("a tenant goes when nothing of it is left, or with all that is in it", async () => {
  await admin.tenants.create("Full", { id: "full" });
  const operator = await holder("operator", "full");
  const sandbox = await operator.spawn({ ttl: "10m" });
  const left = { sandboxes: 1, templates: 0, api_keys: 1 };
  await expect(admin.tenants.delete("full")).rejects.toEqual(refusal(409, "tenant_in_use", left));
  await expect(admin.tenants.delete("full", { cascade: false })).rejects.toEqual(refusal(409, "tenant_in_use", left));
  expect((await operator.get(sandbox.id)).state).toBe("running");
  await admin.tenants.delete("full", { cascade: true, timeoutMs: 60_000 });
  await expect(operator.list()).rejects.toMatchObject({ statusCode: 401 });
  await expect(admin.tenants.get("full")).rejects.toEqual(refusal(404, "tenant_not_found"));
});

test("projects and members of a tenant are governed by the server's administrator", async () => {
  const [projects, members] = [admin.tenants.projects("acme"), admin.tenants.members("acme")];
  expect(await projects.create("Web", { id: "web" })).toMatchObject({ tenant_id: "acme", id: "web", name: "Web" });
  await expect(projects.create("Web", { id: "web" })).rejects.toEqual(refusal(409, "already_exists"));
  expect((await projects.list()).map(({ id }) => id)).toEqual(["web"]);

  const user = "a|b/c d@example.com";
  expect(await members.save(user, "operator", { issuer })).toMatchObject({ user_id: user, role: "operator", issuer });
  expect(await members.save(user, "viewer", { issuer })).toMatchObject({ role: "viewer" });
  expect(await members.save(user, "admin", { issuer, project_id: "web" })).toMatchObject({ project_id: "web" });
  const rows = (await members.list()).map(({ project_id, role }) => [project_id, role]);
  expect(rows).toEqual([
    [undefined, "viewer"],
    ["web", "admin"],
  ]);
  await expect(members.save(user, "viewer", { project_id: "none" })).rejects.toEqual(refusal(404, "project_not_found"));
  await expect(members.delete(user)).rejects.toEqual(refusal(404, "member_not_found"));
  await members.delete(user, { issuer });
  expect((await members.list()).map(({ project_id }) => project_id)).toEqual(["web"]);

  const operator = await holder("operator", "acme", "web");
  const sandbox = await operator.spawn({ ttl: "10m" });
  await expect(projects.delete("web")).rejects.toEqual(
    refusal(409, "tenant_in_use", { sandboxes: 1, templates: 0, api_keys: 1 }),
  );
  await sandbox.destroy();
  for (const { id, project_id } of await admin.apiKeys.list()) if (project_id === "web") await admin.apiKeys.revoke(id);
  await projects.delete("web");
  await expect(projects.delete("web")).rejects.toEqual(refusal(404, "project_not_found"));
  expect(await members.list()).toEqual([]);
});

test("who is in a tenant sees it, and its administrator governs it and nothing else", async () => {
  const [bob, operator] = [await holder("tenant_admin", "acme"), await holder("operator", "acme")];
  expect(await bob.ownTenant.get()).toMatchObject({ tenant: { id: "acme" }, role: "tenant_admin" });
  expect(await operator.ownTenant.get()).toMatchObject({ tenant: { name: "Acme Inc." }, role: "operator" });
  const chosen = new Client({ baseUrl: server.url, adminApiKey: adminKey, tenant: "acme" });
  expect((await chosen.ownTenant.get()).tenant.id).toBe("acme");
  await expect(admin.ownTenant.get()).rejects.toEqual(refusal(404, "tenant_not_found"));

  await bob.ownTenant.projects.create("Web", { id: "web" });
  await bob.ownTenant.members.save("carl", "viewer", { project_id: "web", issuer });
  expect((await operator.ownTenant.projects.list()).map(({ id }) => id)).toEqual(["web"]);
  expect((await operator.ownTenant.members.list()).map(({ user_id }) => user_id)).toEqual(["carl"]);
  for (const call of [
    () => operator.ownTenant.projects.create("Other"),
    () => operator.ownTenant.projects.delete("web"),
    () => operator.ownTenant.members.save("eve", "admin"),
    () => operator.ownTenant.members.delete("carl", { project_id: "web", issuer }),
    () => operator.ownTenant.registryCredentials.list(),
    () => bob.tenants.projects("acme").list(),
    () => bob.config.get(),
  ])
    await expect(call()).rejects.toEqual(refusal(403, "permission_denied"));

  const { api_key, key } = await bob.ownTenant.apiKeys.create("ci", { role: "operator", project_id: "web", ttl: "1h" });
  expect(api_key).toMatchObject({ tenant_id: "acme", project_id: "web" });
  const inProject = new Client({ baseUrl: server.url, apiKey: key });
  expect(await inProject.ownTenant.get()).toMatchObject({ tenant: { id: "acme" }, project_id: "web" });
  expect((await bob.ownTenant.apiKeys.list()).map(({ id }) => id)).toContain(api_key.id);
  await expect(bob.ownTenant.apiKeys.create("x", { tenant_id: "other" })).rejects.toEqual(
    refusal(400, "invalid_input"),
  );
  expect(await bob.ownTenant.apiKeys.revoke(api_key.id)).toMatchObject({ revoked_at: expect.any(String) });
  await bob.ownTenant.members.delete("carl", { project_id: "web", issuer });
  await bob.ownTenant.projects.delete("web");
  expect(await bob.ownTenant.members.list()).toEqual([]);
});

test("a tenant's registry credentials are kept, listed without passwords, and taken away", async () => {
  const { registryCredentials } = (await holder("tenant_admin", "acme")).ownTenant;
  const registry = "registry.example.com:5000";
  const saved = await registryCredentials.save(registry, "robot", "hunter2");
  expect(saved).toMatchObject({ registry, username: "robot" });
  await registryCredentials.save(registry, "robot-2", "hunter3");
  const kept = await registryCredentials.list();
  expect(kept.map(({ username }) => username)).toEqual(["robot-2"]);
  expect(JSON.stringify([saved, kept])).not.toContain("hunter");
  await expect(registryCredentials.save("Not A Host", "robot", "x")).rejects.toEqual(refusal(400, "invalid_input"));
  await registryCredentials.delete(registry);
  await expect(registryCredentials.delete(registry)).rejects.toEqual(refusal(404, "registry_credential_not_found"));
});

test("settings of the running server are shown and changed, all of them or none", async () => {
  const { settings: before, changed } = await admin.config.get();
  expect([before["defaults.vcpus"], changed]).toEqual([1, []]);
  const now = await admin.config.set({ "defaults.vcpus": 2, defaults: { max_ttl: "2h" } });
  expect(now).toMatchObject({
    settings: { "defaults.vcpus": 2, "defaults.max_ttl": "2h0m0s" },
    changed: ["defaults.vcpus", "defaults.max_ttl"],
    message: expect.stringContaining("until a restart"),
  });
  const refused = await admin.config.set({ "defaults.vcpus": 4, "server.port": 1 }).catch((error: unknown) => error);
  expect(refused).toEqual(refusal(400, "invalid_input"));
  expect(refused).toMatchObject({ details: { settings: [{ setting: "server.port" }] } });
  expect((await admin.config.get()).settings["defaults.vcpus"]).toBe(2);
  expect((await admin.config.set(before)).changed).toEqual([]);
});
