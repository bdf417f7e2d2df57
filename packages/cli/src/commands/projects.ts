import type { Client } from "stacyvm";
import { minute } from "../minute.ts";
import type { Output } from "../output.ts";
import { table } from "../table.ts";

export async function listProjects(client: Client, output: Output): Promise<void> {
  const all = await client.ownTenant.projects.list();
  const heading = ["ID", "NAME", "TENANT", "CREATED"];
  const rows = all.map((one) => [one.id, one.name, one.tenant_id, minute(one.created_at)]);
  const column = (name: string) => heading.indexOf(name);
  const layout = {
    elastic: [column("TENANT"), column("NAME"), column("ID")],
    expendable: [column("TENANT"), column("CREATED"), column("NAME")],
    cut: "end",
    width: output.width,
  } as const;
  output.result(all, all.length === 0 ? "No projects" : table([heading, ...rows], layout));
}

export async function createProject(
  client: Client,
  output: Output,
  id: string,
  { name = id }: { readonly name?: string },
): Promise<void> {
  const made = await client.ownTenant.projects.create(name, { id });
  output.result(made, `Project ${made.id} of ${made.tenant_id} created`);
}

export async function deleteProject(client: Client, output: Output, id: string): Promise<void> {
  await client.ownTenant.projects.delete(id);
  output.result({ id, status: "deleted" }, `Project ${id} deleted`);
}
