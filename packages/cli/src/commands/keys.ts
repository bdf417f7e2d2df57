import type { ApiKey, ApiKeyManager, ApiKeyRole, Client } from "stacyvm";
import { minute } from "../minute.ts";
import type { Output } from "../output.ts";
import { table } from "../table.ts";

export interface OwnFlag {
  /** Keys of the caller's own tenant, not the server's. */
  readonly own?: true;
}

export interface KeyFlags extends OwnFlag {
  readonly role?: ApiKeyRole;
  readonly tenant?: string | undefined;
  readonly project?: string | undefined;
  readonly ttl?: string;
}

const keysOf = (client: Client, { own }: OwnFlag): ApiKeyManager => (own ? client.ownTenant.apiKeys : client.apiKeys);

const stateOf = (key: ApiKey, nowMs: number): string => {
  if (key.revoked_at !== undefined) return "revoked";
  return key.expires_at !== undefined && Date.parse(key.expires_at) <= nowMs ? "expired" : "counts";
};

/** The key stands alone on stdout, so that a script can take it; what is to know of it goes to stderr. */
export async function createKey(client: Client, output: Output, name: string, flags: KeyFlags): Promise<void> {
  const made = await keysOf(client, flags).create(name, {
    role: flags.role,
    tenant_id: flags.own ? undefined : flags.tenant,
    project_id: flags.project,
    ttl: flags.ttl,
  });
  if (!output.json) {
    const { id, role, expires_at: end } = made.api_key;
    const until = end === undefined ? "until it is revoked" : `until ${minute(end)} UTC`;
    output.errorLine(`${id}: role ${role}, counts ${until}. This is the only time that the key is shown:`);
  }
  output.result(made, made.key);
}

export async function listKeys(client: Client, output: Output, flags: OwnFlag): Promise<void> {
  const all = await keysOf(client, flags).list();
  const heading = ["ID", "NAME", "KEY", "ROLE", "TENANT", "STATE", "EXPIRES", "USED", "CREATED BY"];
  const rows = all.map((key) => [
    key.id,
    key.name,
    `${key.prefix}…`,
    key.role,
    [key.tenant_id ?? "-", key.project_id].filter((part) => part !== undefined).join("/"),
    stateOf(key, Date.now()),
    minute(key.expires_at),
    minute(key.last_used_at),
    key.created_by,
  ]);
  const column = (name: string) => heading.indexOf(name);
  const layout = {
    elastic: [column("CREATED BY"), column("NAME"), column("TENANT")],
    expendable: [column("CREATED BY"), column("USED"), column("EXPIRES"), column("TENANT")],
    cut: "end",
    width: output.width,
  } as const;
  output.result(all, all.length === 0 ? "No keys" : table([heading, ...rows], layout));
}

export async function revokeKey(client: Client, output: Output, id: string, flags: OwnFlag): Promise<void> {
  const revoked = await keysOf(client, flags).revoke(id);
  output.result(revoked, `${revoked.id} (${revoked.name}) revoked`);
}
