import { StacyError } from "@stacyvm/contract";
import type { Transaction } from "kysely";
import type { Place } from "../sandbox/scope.ts";
import type { Database } from "./database.ts";
import type { Tables } from "./tables.ts";

/** Held by whoever makes something in a tenant, and by whoever deletes it, so that nothing is left in none. */
export const lockTenant = (database: Database, transaction: Transaction<Tables>, tenantId: string): Promise<void> =>
  database.lockInTransaction(transaction, `tenant ${tenantId}`);

/**
 * Throws unless something may be made there. While there is no tenant at all their names are nothing but labels, as
 * older clients use them.
 */
export const requirePlace = async (
  database: Database,
  transaction: Transaction<Tables>,
  { tenantId, projectId }: Place,
): Promise<void> => {
  if (tenantId === "") return;
  await lockTenant(database, transaction, tenantId);
  const tenants = () => transaction.selectFrom("tenants").select(["id", "deleting_at"]);
  const tenant = await tenants().where("id", "=", tenantId).executeTakeFirst();
  if (tenant === undefined) {
    if ((await tenants().limit(1).executeTakeFirst()) === undefined) return;
    throw new StacyError("tenant_not_found", "tenant not found");
  }
  if (tenant.deleting_at > 0) throw new StacyError("state_conflict", `conflict: tenant ${tenantId} is being deleted`);
  if (projectId === "") return;
  const projects = transaction.selectFrom("projects").select("id").where("tenant_id", "=", tenantId);
  if ((await projects.where("id", "=", projectId).executeTakeFirst()) === undefined) {
    throw new StacyError("project_not_found", "project not found");
  }
};
