import { sql, type Transaction } from "kysely";
import type { Tables } from "./tables.ts";
import type { TenantUse } from "./tenant-store.ts";

/** What stands in a tenant, or in one project of it. */
export const useOf = async (
  transaction: Transaction<Tables>,
  tenantId: string,
  projectId?: string,
): Promise<TenantUse> => {
  const there =
    projectId === undefined ? sql`tenant_id = ${tenantId}` : sql`tenant_id = ${tenantId} and project_id = ${projectId}`;
  const { rows } = await sql<TenantUse>`select
    (select count(*) from sandboxes where ${there} and state <> 'destroyed') as sandboxes,
    (select count(*) from templates where ${there}) as templates,
    (select count(*) from api_keys where ${there} and revoked_at = 0) as "apiKeys"`.execute(transaction);
  return rows[0] ?? { sandboxes: 0, templates: 0, apiKeys: 0 };
};

export const isUsed = ({ sandboxes, templates, apiKeys }: TenantUse): boolean => sandboxes + templates + apiKeys > 0;
