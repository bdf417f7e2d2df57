import type { Client, Member, Project, Tenant } from "stacyvm";
import { UsageFailure } from "../failure.ts";
import { interruptible } from "../interrupt.ts";
import { minute } from "../minute.ts";
import type { Output } from "../output.ts";
import { oneLine, table } from "../table.ts";

export interface TenantFlags {
  readonly name?: string;
  readonly owner?: string;
  readonly settings?: string;
}

const stateOf = (tenant: Tenant): string => (tenant.deleting_at === undefined ? "active" : "deleting");

const settingsOf = (text: string | undefined): unknown => {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new UsageFailure(`--settings takes JSON, for example '{"tier": "gold"}'`, { cause });
  }
};

export async function listTenants(client: Client, output: Output): Promise<void> {
  const all = await client.tenants.list();
  const heading = ["ID", "NAME", "OWNER", "STATE", "CREATED"];
  const rows = all.map((one) => [one.id, one.name, one.owner_id || "-", stateOf(one), minute(one.created_at)]);
  const column = (name: string) => heading.indexOf(name);
  const layout = {
    elastic: [column("OWNER"), column("NAME"), column("ID")],
    expendable: [column("OWNER"), column("CREATED"), column("NAME")],
    cut: "end",
    width: output.width,
  } as const;
  output.result(all, all.length === 0 ? "No tenants" : table([heading, ...rows], layout));
}

export async function createTenant(client: Client, output: Output, id: string, flags: TenantFlags): Promise<void> {
  const { name = id, owner: owner_id, settings } = flags;
  const made = await client.tenants.create(name, { id, owner_id, settings: settingsOf(settings) });
  output.result(made, `Tenant ${made.id} created`);
}

export async function updateTenant(client: Client, output: Output, id: string, flags: TenantFlags): Promise<void> {
  const { name, owner: owner_id, settings } = flags;
  if ([name, owner_id, settings].every((one) => one === undefined)) {
    throw new UsageFailure("nothing to change: give --name, --owner or --settings");
  }
  const changed = await client.tenants.update(id, { name, owner_id, settings: settingsOf(settings) });
  output.result(changed, `Tenant ${changed.id} changed`);
}

/** One of the server's tenants, or the caller's own. */
export async function showTenant(client: Client, output: Output, id: string | undefined): Promise<void> {
  const own = id === undefined ? await client.ownTenant.get() : undefined;
  const tenant = own?.tenant ?? (await client.tenants.get(id ?? ""));
  const [projects, members] = await Promise.all(
    id === undefined
      ? [client.ownTenant.projects.list(), client.ownTenant.members.list()]
      : [client.tenants.projects(id).list(), client.tenants.members(id).list()],
  );
  const { project_id, role } = own ?? {};
  output.result(
    { tenant, project_id, role, projects, members },
    shown(tenant, projects, members, { project_id, role }),
  );
}

const shown = (
  tenant: Tenant,
  projects: readonly Project[],
  members: readonly Member[],
  own: { readonly project_id: string | undefined; readonly role: string | undefined },
): string => {
  const lines: readonly (readonly [string, string | undefined])[] = [
    ["Tenant", tenant.id],
    ["Name", tenant.name],
    ["Your role", own.role],
    ["Your project", own.project_id],
    ["Owner", tenant.owner_id || undefined],
    ["Settings", tenant.settings === "{}" ? undefined : tenant.settings],
    ["State", tenant.deleting_at === undefined ? undefined : `being deleted since ${minute(tenant.deleting_at)} UTC`],
    ["Created", `${minute(tenant.created_at)} UTC`],
    ["Projects", projects.map(({ id }) => id).join(", ") || "none"],
    ["Members", members.map(memberText).join(", ") || "none"],
  ];
  return lines
    .filter(([, value]) => value !== undefined)
    .map(([name, value = ""]) => `${`${name}:`.padEnd(13)} ${oneLine(value)}`)
    .join("\n");
};

const memberText = ({ user_id, role, project_id }: Member): string =>
  `${user_id} (${role}${project_id === undefined ? "" : ` in ${project_id}`})`;

/** With `cascade` it takes as long as it takes. */
export async function deleteTenant(
  client: Client,
  output: Output,
  id: string,
  { cascade = false }: { readonly cascade?: boolean },
): Promise<void> {
  await interruptible((signal) => client.tenants.delete(id, cascade ? { cascade, signal, timeoutMs: 0 } : { signal }));
  output.result({ id, status: "deleted" }, `Tenant ${id} deleted${cascade ? " with all that was in it" : ""}`);
}
