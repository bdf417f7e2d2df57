import type { World } from "../world.ts";
import type { Box } from "./box.ts";
import { type Deed, type Send, streamed, unique, ways } from "./deed.ts";

/** What is done with a tenant's own rows: sandboxes as a whole, templates, quotas, keys, projects, members, events. */
export const rowDeeds = async (world: World, { box, inBox, newSandbox, run }: Box) => {
  const { does, send, root } = world;
  const { tells, changes, get, serves } = ways(world);
  const template = async (): Promise<string> => {
    const name = unique();
    await does("POST", "/templates", { name, image: "alpine:latest" });
    return name;
  };
  const programKey = async () =>
    await does<{ api_key: { id: string } }>("POST", "/admin/api-keys", { name: unique(), tenant_id: "acme" }, root);
  const keysOfAcme = async () =>
    (await does<{ api_keys: { tenant_id?: string; revoked_at?: string }[] }>("GET", "/admin/api-keys")).api_keys
      .filter((key) => key.tenant_id === "acme")
      .map(({ tenant_id, revoked_at }) => [tenant_id, revoked_at]);
  const project = async (): Promise<string> => {
    const id = unique();
    await does("POST", "/admin/tenants/acme/projects", { id, name: id }, root);
    return id;
  };
  const member = async (): Promise<string> => {
    const id = unique();
    await does("PUT", `/admin/tenants/acme/members/${id}`, { role: "viewer", project_id: "web" }, root);
    return id;
  };
  const tenant = async (): Promise<string> => {
    const id = unique();
    await does("POST", "/admin/tenants", { id, name: id }, root);
    return id;
  };
  const registryCredential = async (): Promise<string> => {
    const registry = `${unique()}.test`;
    await does("PUT", `/tenant/registry-credentials/${registry}`, { username: "me", password: "secret" });
    return registry;
  };
  const registryCredentials = () => does("GET", "/tenant/registry-credentials");
  const secretContent = { value: "hunter2", hosts: ["api.test"] };
  const secret = async (): Promise<string> => {
    const name = unique().replace("-", "_");
    await does("PUT", `/secrets/${name}`, secretContent);
    return name;
  };
  const secrets = () => does("GET", "/secrets");
  const projects = () => does("GET", "/admin/tenants/acme/projects", undefined, root);
  const members = () => does("GET", "/admin/tenants/acme/members", undefined, root);
  const tenants = () => does("GET", "/admin/tenants", undefined, root);
  const idsOfAcme = async () => (await does<{ id: string }[]>("GET", "/sandboxes")).map(({ id }) => id).toSorted();
  const newSandboxBy = (ask: Send): Deed => {
    return async (as) => {
      const before = await idsOfAcme();
      const reply = await ask(as);
      const made = (await idsOfAcme()).filter((id) => !before.includes(id));
      for (const id of made) await does("DELETE", `/sandboxes/${id}`);
      return { reply, shows: made.length === 1 };
    };
  };

  await does("PUT", "/quotas/owner-of-acme", { max_sandboxes: 7 });
  const memberOfWeb = await member();

  return {
    "sandboxes.spawn": newSandboxBy((as) => send(as, "POST", "/sandboxes", {})),
    "sandboxes.admission": serves("POST", "/sandboxes/admission", {}),
    "sandboxes.list": get("/sandboxes", box),
    "sandboxes.prune": async (as) => {
      const expired = await newSandbox({ ttl: "1ms" });
      const tried = await changes(as, idsOfAcme, (who) => send(who, "DELETE", "/sandboxes"));
      await does("DELETE", `/sandboxes/${expired}`).catch(() => undefined);
      return tried;
    },
    "sandboxes.get": get(inBox, '"state":"running"'),
    "sandboxes.destroy": async (as) => {
      const id = await newSandbox();
      const tried = await changes(as, idsOfAcme, (who) => send(who, "DELETE", `/sandboxes/${id}`));
      if (!tried.shows) await does("DELETE", `/sandboxes/${id}`);
      return tried;
    },
    "sandboxes.extend": (as) =>
      changes(
        as,
        async () => (await does<{ expires_at: string }>("GET", inBox)).expires_at,
        (who) => send(who, "POST", `${inBox}/extend`, { ttl: "2h" }),
      ),
    "templates.create": (as) =>
      changes(
        as,
        () => does("GET", "/templates"),
        (who) => send(who, "POST", "/templates", { name: unique(), image: "alpine:latest" }),
      ),
    "templates.list": async (as) => {
      const name = await template();
      return await tells(as, `"${name}"`, (who) => send(who, "GET", "/templates"));
    },
    "templates.get": async (as) => {
      const name = await template();
      return await tells(as, `"name":"${name}"`, (who) => send(who, "GET", `/templates/${name}`));
    },
    "templates.update": async (as) => {
      const name = await template();
      return await changes(
        as,
        () => does("GET", `/templates/${name}`),
        (who) => send(who, "PUT", `/templates/${name}`, { name, image: "alpine:latest", description: "marker" }),
      );
    },
    "templates.delete": async (as) => {
      const name = await template();
      return await changes(
        as,
        () => does("GET", "/templates"),
        (who) => send(who, "DELETE", `/templates/${name}`),
      );
    },
    "templates.spawn": async (as, caller) => {
      const name = await template();
      return await newSandboxBy((who) => send(who, "POST", `/templates/${name}/spawn`, {}))(as, caller);
    },
    "quotas.list": get("/quotas", "owner-of-acme"),
    "quotas.summary": async (as) => {
      const reply = await send(as, "GET", "/quotas/summary");
      return { reply, shows: reply.status === 200 && !reply.text.includes('"total":0') };
    },
    "quotas.get": get("/quotas/owner-of-acme", '"max_sandboxes":7'),
    "quotas.usage": get("/quotas/owner-of-acme/usage", '"quota_configured":true'),
    "quotas.save": (as) =>
      changes(
        as,
        () => does("GET", "/quotas"),
        (who) => send(who, "PUT", `/quotas/${unique()}`, { max_sandboxes: 1 }),
      ),
    "quotas.delete": async (as) => {
      const owner = unique();
      await does("PUT", `/quotas/${owner}`, { max_sandboxes: 1 });
      return await changes(
        as,
        () => does("GET", "/quotas"),
        (who) => send(who, "DELETE", `/quotas/${owner}`),
      );
    },
    "keys.listOwn": async (as) => {
      const { id } = (await programKey()).api_key;
      return await tells(as, id, (who) => send(who, "GET", "/api-keys"));
    },
    "keys.createOwn": (as) =>
      changes(as, keysOfAcme, (who) => send(who, "POST", "/api-keys", { name: unique(), role: "viewer" })),
    "keys.revokeOwn": async (as) => {
      const { id } = (await programKey()).api_key;
      return await changes(as, keysOfAcme, (who) => send(who, "DELETE", `/api-keys/${id}`));
    },
    "keys.list": async (as) => {
      const { id } = (await programKey()).api_key;
      return await tells(as, id, (who) => send(who, "GET", "/admin/api-keys"));
    },
    "keys.create": (as) =>
      changes(as, keysOfAcme, (who) => send(who, "POST", "/admin/api-keys", { name: unique(), tenant_id: "acme" })),
    "keys.revoke": async (as) => {
      const { id } = (await programKey()).api_key;
      return await changes(as, keysOfAcme, (who) => send(who, "DELETE", `/admin/api-keys/${id}`));
    },
    "tenants.own": get("/tenant", '"id":"acme"'),
    "projects.listOwn": get("/tenant/projects", '"id":"web"'),
    "projects.createOwn": (as) =>
      changes(as, projects, (who) => send(who, "POST", "/tenant/projects", { name: unique() })),
    "projects.deleteOwn": async (as) => {
      const id = await project();
      return await changes(as, projects, (who) => send(who, "DELETE", `/tenant/projects/${id}`));
    },
    "members.listOwn": get("/tenant/members", memberOfWeb),
    "members.saveOwn": (as) =>
      changes(as, members, (who) => send(who, "PUT", `/tenant/members/${unique()}`, { role: "viewer" })),
    "members.deleteOwn": async (as) => {
      const id = await member();
      return await changes(as, members, (who) => send(who, "DELETE", `/tenant/members/${id}?project_id=web`));
    },
    "registries.list": async (as) => {
      const registry = await registryCredential();
      return await tells(as, registry, (who) => send(who, "GET", "/tenant/registry-credentials"));
    },
    "registries.save": (as) => {
      const path = `/tenant/registry-credentials/${unique()}.test`;
      return changes(as, registryCredentials, (who) => send(who, "PUT", path, { username: "me", password: "secret" }));
    },
    "registries.delete": async (as) => {
      const path = `/tenant/registry-credentials/${await registryCredential()}`;
      return await changes(as, registryCredentials, (who) => send(who, "DELETE", path));
    },
    "secrets.list": async (as) => {
      const name = await secret();
      return await tells(as, `"${name}"`, (who) => send(who, "GET", "/secrets"));
    },
    "secrets.save": async (as) => {
      const name = await secret();
      return await changes(as, secrets, (who) => send(who, "PUT", `/secrets/${name}`, secretContent));
    },
    "secrets.delete": async (as) => {
      const name = await secret();
      return await changes(as, secrets, (who) => send(who, "DELETE", `/secrets/${name}`));
    },
    "secrets.rotate": serves("POST", "/secrets/rotate"),
    "tenants.list": get("/admin/tenants", '"id":"acme"'),
    "tenants.create": (as) => changes(as, tenants, (who) => send(who, "POST", "/admin/tenants", { name: unique() })),
    "tenants.get": get("/admin/tenants/acme", '"id":"acme"'),
    "tenants.update": (as) =>
      changes(as, tenants, (who) => send(who, "PUT", "/admin/tenants/acme", { name: unique() })),
    "tenants.delete": async (as) => {
      const id = await tenant();
      return await changes(as, tenants, (who) => send(who, "DELETE", `/admin/tenants/${id}`));
    },
    "members.list": get("/admin/tenants/acme/members", memberOfWeb),
    "members.save": (as) =>
      changes(as, members, (who) => send(who, "PUT", `/admin/tenants/acme/members/${unique()}`, { role: "viewer" })),
    "members.delete": async (as) => {
      const id = await member();
      const path = `/admin/tenants/acme/members/${id}?project_id=web`;
      return await changes(as, members, (who) => send(who, "DELETE", path));
    },
    "projects.list": get("/admin/tenants/acme/projects", '"id":"web"'),
    "projects.create": (as) =>
      changes(as, projects, (who) => send(who, "POST", "/admin/tenants/acme/projects", { name: unique() })),
    "projects.delete": async (as) => {
      const id = await project();
      return await changes(as, projects, (who) => send(who, "DELETE", `/admin/tenants/acme/projects/${id}`));
    },
    "events.stream": (as, caller) => {
      const own = world.beside[caller];
      const meanwhile = async (): Promise<void> => {
        await run("true");
        // What the caller does see comes after: then the first would have been there.
        if (own !== undefined) await does("POST", `/sandboxes/${own}/exec`, { command: "true" }, as);
      };
      const words = own === undefined ? [box] : [own];
      return tells(as, box, (who) => streamed(`${world.url}/api/v1/events`, who, meanwhile, words));
    },
  } satisfies Record<string, Deed>;
};
