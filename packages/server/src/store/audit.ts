import type { Insertable, Selectable } from "kysely";
import type { Database } from "./database.ts";
import type { AuditStore, OperationAudit } from "./store.ts";
import type { OperationAuditLogsTable } from "./tables.ts";

/** Rows of one insert; nine parameters each, far below what either database takes in one statement. */
const maxRowsPerInsert = 500;

const fromAudit = (row: OperationAudit): Insertable<OperationAuditLogsTable> => ({
  actor: row.actor,
  action: row.action,
  sandbox_id: row.sandboxId,
  resource: row.resource,
  provider: row.provider,
  status: row.status,
  detail: row.detail,
  tenant_id: row.tenantId,
  created_at: row.createdAtMs,
});

const toAudit = (row: Selectable<OperationAuditLogsTable>): OperationAudit & { readonly id: number } => ({
  id: row.id,
  actor: row.actor,
  action: row.action,
  sandboxId: row.sandbox_id,
  resource: row.resource,
  provider: row.provider,
  status: row.status === "success" ? "success" : "failure",
  detail: row.detail,
  tenantId: row.tenant_id,
  createdAtMs: row.created_at,
});

export const auditStore = ({ queries }: Database): AuditStore => ({
  record: async (rows) => {
    if (rows.length === 0) return;
    if (rows.length <= maxRowsPerInsert) {
      await queries.insertInto("operation_audit_logs").values(rows.map(fromAudit)).execute();
      return;
    }
    await queries.transaction().execute(async (transaction) => {
      for (let start = 0; start < rows.length; start += maxRowsPerInsert) {
        const part = rows.slice(start, start + maxRowsPerInsert);
        await transaction.insertInto("operation_audit_logs").values(part.map(fromAudit)).execute();
      }
    });
  },

  list: async (limit) => {
    const rows = await queries
      .selectFrom("operation_audit_logs")
      .selectAll()
      .orderBy("created_at", "desc")
      .orderBy("id", "desc")
      .limit(limit)
      .execute();
    return rows.map(toAudit);
  },
});
