import { type Kysely, sql, type Transaction } from "kysely";
import type { ColumnTypes } from "../database.ts";
import type { Tables } from "../tables.ts";
import type { Migration } from "./migration.ts";

type Column = readonly [name: string, type: keyof ColumnTypes];

export const table = async (
  transaction: Kysely<Tables>,
  types: ColumnTypes,
  name: string,
  columns: readonly Column[],
  key?: string,
): Promise<void> => {
  const lines = columns.map(([column, type]) =>
    type === "autoId" ? sql`${sql.ref(column)} ${types[type]}` : sql`${sql.ref(column)} ${types[type]} not null`,
  );
  if (key !== undefined) lines.push(sql`constraint ${sql.ref(`${name}_pk`)} primary key (${sql.ref(key)})`);
  await sql`create table ${sql.table(name)} (${sql.join(lines)}) ${types.tableEnd}`.execute(transaction);
};

const times: readonly Column[] = [
  ["created_at", "integer"],
  ["updated_at", "integer"],
];

const sandboxes = async (transaction: Transaction<Tables>, types: ColumnTypes): Promise<void> => {
  await table(
    transaction,
    types,
    "sandboxes",
    [
      ["id", "text"],
      ["state", "text"],
      ["state_reason", "text"],
      ["provider", "text"],
      ["image", "text"],
      ["image_digest", "text"],
      ["memory_mb", "integer"],
      ["vcpus", "integer"],
      ["disk_mb", "integer"],
      ["security", "text"],
      ["owner_id", "text"],
      ["tenant_id", "text"],
      ["worker_id", "text"],
      ["metadata", "text"],
      ["runtime_ref", "text"],
      ["generation", "integer"],
      ["expires_at", "integer"],
      ["state_deadline", "integer"],
      ...times,
    ],
    "id",
  );
  // Destroyed rows pile up; what is asked all the time concerns the others only.
  for (const statement of [
    sql`create index idx_sandboxes_living_created on sandboxes (created_at, id) where state <> 'destroyed'`,
    sql`create index idx_sandboxes_living_owner on sandboxes (owner_id, created_at, id) where state <> 'destroyed'`,
    sql`create index idx_sandboxes_living_tenant on sandboxes (tenant_id, created_at, id) where state <> 'destroyed'`,
    sql`create index idx_sandboxes_living_expiry on sandboxes (expires_at, id) where state <> 'destroyed'`,
    sql`create index idx_sandboxes_deadline on sandboxes (state_deadline, id) where state_deadline > 0`,
    sql`create index idx_sandboxes_state_updated on sandboxes (state, updated_at)`,
    sql`create index idx_sandboxes_state_created on sandboxes (state, created_at, id)`,
  ]) {
    await statement.execute(transaction);
  }
};

const leases = async (transaction: Transaction<Tables>, types: ColumnTypes): Promise<void> => {
  await table(
    transaction,
    types,
    "leases",
    [
      ["resource_id", "text"],
      ["resource_type", "text"],
      ["holder_id", "text"],
      ["generation", "integer"],
      ["expires_at", "integer"],
      ...times,
    ],
    "resource_id",
  );
  await sql`create index idx_leases_holder on leases (holder_id, expires_at)`.execute(transaction);
};

const operators = async (transaction: Transaction<Tables>, types: ColumnTypes): Promise<void> => {
  await table(
    transaction,
    types,
    "owner_quotas",
    [
      ["owner_id", "text"],
      ["max_sandboxes", "integer"],
      ["max_ttl_ms", "integer"],
      ["max_exec_timeout_ms", "integer"],
      ...times,
    ],
    "owner_id",
  );
  await table(
    transaction,
    types,
    "templates",
    [
      ["name", "text"],
      ["version", "integer"],
      ["image", "text"],
      ["description", "text"],
      ["setup", "text"],
      ["allowed_hosts", "text"],
      ["memory_mb", "integer"],
      ["cpu_cores", "integer"],
      ["ttl_seconds", "integer"],
      ["env", "text"],
      ["secrets", "text"],
      ["pool_size", "integer"],
      ["provider", "text"],
      ["metadata", "text"],
      ...times,
    ],
    "name",
  );
  await table(
    transaction,
    types,
    "workers",
    [
      ["id", "text"],
      ["hostname", "text"],
      ["status", "text"],
      ["providers", "text"],
      ["capabilities", "text"],
      ["capacity", "text"],
      ["last_heartbeat", "integer"],
      ...times,
    ],
    "id",
  );
};

const audit = async (transaction: Transaction<Tables>, types: ColumnTypes): Promise<void> => {
  await table(transaction, types, "operation_audit_logs", [
    ["id", "autoId"],
    ["actor", "text"],
    ["action", "text"],
    ["sandbox_id", "text"],
    ["resource", "text"],
    ["provider", "text"],
    ["status", "text"],
    ["detail", "text"],
    ["tenant_id", "text"],
    ["created_at", "integer"],
  ]);
  for (const statement of [
    sql`create index idx_operation_audit_logs_created_at on operation_audit_logs (created_at, id)`,
    sql`create index idx_operation_audit_logs_sandbox on operation_audit_logs (sandbox_id, created_at)`,
    sql`create index idx_operation_audit_logs_tenant on operation_audit_logs (tenant_id, created_at)`,
  ]) {
    await statement.execute(transaction);
  }
};

export const firstTables: Migration = {
  version: 1,
  name: "first-tables",
  up: async (transaction, types) => {
    await sandboxes(transaction, types);
    await leases(transaction, types);
    await operators(transaction, types);
    await audit(transaction, types);
  },
};
