import type { Client, MemberRole } from "stacyvm";
import { minute } from "../minute.ts";
import type { Output } from "../output.ts";
import { table } from "../table.ts";

export interface MemberFlags {
  readonly issuer?: string;
}

/** Where a role holds. */
const placeOf = (tenant: string, project: string | undefined): string =>
  project === undefined ? tenant : `project ${project} of ${tenant}`;

export async function listMembers(client: Client, output: Output): Promise<void> {
  const all = await client.ownTenant.members.list();
  const heading = ["USER", "ROLE", "PROJECT", "ISSUER", "SINCE"];
  const rows = all.map((one) => [
    one.user_id,
    one.role,
    one.project_id ?? "-",
    one.issuer ?? "-",
    minute(one.created_at),
  ]);
  const column = (name: string) => heading.indexOf(name);
  const layout = {
    elastic: [column("ISSUER"), column("PROJECT"), column("USER")],
    expendable: [column("ISSUER"), column("SINCE")],
    cut: "end",
    width: output.width,
  } as const;
  output.result(all, all.length === 0 ? "No members" : table([heading, ...rows], layout));
}

/** In the project that the client is in, else in the whole tenant. */
export async function addMember(
  client: Client,
  output: Output,
  user: string,
  { role, issuer }: MemberFlags & { readonly role: MemberRole },
): Promise<void> {
  const saved = await client.ownTenant.members.save(user, role, { issuer });
  output.result(saved, `${saved.user_id} is ${saved.role} in ${placeOf(saved.tenant_id, saved.project_id)}`);
}

export async function removeMember(client: Client, output: Output, user: string, flags: MemberFlags): Promise<void> {
  await client.ownTenant.members.delete(user, { issuer: flags.issuer });
  output.result({ user_id: user, status: "removed" }, `${user} is a member there no longer`);
}
