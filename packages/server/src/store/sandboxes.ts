import { type Expression, type ExpressionBuilder, type SqlBool, sql } from "kysely";
import type { SandboxState } from "../sandbox/sandbox.ts";
import { everywhere, type Scope } from "../sandbox/scope.ts";
import type { Database } from "./database.ts";
import { insertSandbox } from "./sandbox-insert.ts";
import { isBehind, newestFirst, orderOf } from "./sandbox-order.ts";
import { fromSandboxChange, summaryColumns, toSandbox, toSandboxSummary } from "./sandbox-rows.ts";
import type { SandboxFilter, SandboxPage, SandboxStore } from "./store.ts";
import type { Tables } from "./tables.ts";

type Build = ExpressionBuilder<Tables, "sandboxes">;

const renewable: readonly SandboxState[] = ["creating", "running", "unhealthy", "error"];

/** Spelled as a literal, in the very words of the partial indexes: with a parameter no planner would use them. */
export const living = (build: Build): Expression<SqlBool> => build("state", "<>", sql.lit("destroyed"));

const seenBy =
  ({ tenantId, projectId }: Scope) =>
  (build: Build): Expression<SqlBool> =>
    build.and([
      ...(tenantId === undefined ? [] : [build("tenant_id", "=", tenantId)]),
      ...(projectId === undefined ? [] : [build("project_id", "=", projectId)]),
    ]);

const matching =
  (filter: SandboxFilter) =>
  (build: Build): Expression<SqlBool> => {
    const parts: Expression<SqlBool>[] = [
      filter.states === undefined ? living(build) : build("state", "in", filter.states),
    ];
    if (filter.provider !== undefined) parts.push(build("provider", "=", filter.provider));
    if (filter.ownerId !== undefined) parts.push(build("owner_id", "=", filter.ownerId));
    parts.push(seenBy(filter)(build));
    if (filter.workerId !== undefined) parts.push(build("worker_id", "=", filter.workerId));
    if (filter.imageDigest !== undefined) parts.push(build("image_digest", "=", filter.imageDigest));
    if (filter.name !== undefined) parts.push(build("name", "=", filter.name));
    if (filter.createdBeforeMs !== undefined) parts.push(build("created_at", "<", filter.createdBeforeMs));
    if (filter.createdAfterMs !== undefined) parts.push(build("created_at", ">", filter.createdAfterMs));
    for (const { name, value } of filter.labels ?? []) {
      let labelled = build.selectFrom("sandbox_labels").select("sandbox_id").where("name", "=", name);
      if (value !== undefined) labelled = labelled.where("value", "=", value);
      parts.push(build("id", "in", labelled));
    }
    return build.and(parts);
  };

const asksNothing = (filter: SandboxFilter): boolean => filter.states?.length === 0;

export const sandboxStore = ({ queries }: Database): SandboxStore => {
  const countBy = async (column: "state" | "provider" | "worker_id"): Promise<Readonly<Record<string, number>>> => {
    const rows = await queries
      .selectFrom("sandboxes")
      .select((build) => [build.ref(column).as("key"), build.fn.countAll<number>().as("rows")])
      .$if(column !== "state", (query) => query.where(living))
      .groupBy(column)
      .orderBy(column)
      .execute();
    return Object.fromEntries(rows.map((row) => [row.key, row.rows]));
  };

  const pageOf = (filter: SandboxFilter, { limit, after, sort = newestFirst }: SandboxPage) => {
    const { column, direction } = orderOf(sort);
    const rows = queries
      .selectFrom("sandboxes")
      .where(matching(filter))
      .orderBy(column, direction)
      .orderBy("id", direction);
    const behind = after === undefined ? rows : rows.where(isBehind(sort, after));
    return limit === undefined ? behind : behind.limit(limit);
  };

  return {
    insert: async (record) => {
      await queries.transaction().execute((transaction) => insertSandbox(transaction, record));
    },

    get: async (id, scope = everywhere) => {
      const row = await queries
        .selectFrom("sandboxes")
        .selectAll()
        .where("id", "=", id)
        .where(seenBy(scope))
        .executeTakeFirst();
      return row && toSandbox(row);
    },

    list: async (filter, page = {}) => {
      if (asksNothing(filter)) return [];
      return (await pageOf(filter, page).selectAll().execute()).map(toSandbox);
    },

    listSummaries: async (filter, page = {}) => {
      if (asksNothing(filter)) return [];
      return (await pageOf(filter, page).select(summaryColumns).execute()).map(toSandboxSummary);
    },

    count: async (filter) => {
      if (asksNothing(filter)) return 0;
      const { rows } = await queries
        .selectFrom("sandboxes")
        .select((build) => build.fn.countAll<number>().as("rows"))
        .where(matching(filter))
        .where(living)
        .executeTakeFirstOrThrow();
      return rows;
    },

    transition: async (id, from, change, generation) => {
      if (from.length === 0) return undefined;
      let query = queries
        .updateTable("sandboxes")
        // An empty change still has to be a statement: the state becomes itself.
        .set((build) => ({ state: build.ref("state"), ...fromSandboxChange(change) }))
        .where("id", "=", id)
        .where("state", "in", from);
      if (generation !== undefined) query = query.where("generation", "=", generation);
      const row = await query.returningAll().executeTakeFirst();
      return row && toSandbox(row);
    },

    renewExpiry: async (id, expected, expiresAtMs, nowMs) => {
      const row = await queries
        .updateTable("sandboxes")
        .set({ expires_at: expiresAtMs, updated_at: nowMs })
        .where("id", "=", id)
        .where("expires_at", "=", expected.expiresAtMs)
        // A reaper may have seen it already: what has expired stays expired.
        .where("expires_at", ">", nowMs)
        .where("state", "in", renewable)
        .returningAll()
        .executeTakeFirst();
      return row && toSandbox(row);
    },

    listExpired: async (nowMs, limit, scope = everywhere) => {
      const rows = await queries
        .selectFrom("sandboxes")
        .selectAll()
        .where(living)
        // Transitional states have a deadline of their own. Unequal rather than `in`, which would draw the planner away
        // from the index of expiries.
        .where("state", "<>", "creating")
        .where("state", "<>", "destroying")
        .where("expires_at", "<=", nowMs)
        .where(seenBy(scope))
        .orderBy("expires_at")
        .orderBy("id")
        .limit(limit)
        .execute();
      return rows.map(toSandbox);
    },

    listOverdue: async (nowMs, limit) => {
      const rows = await queries
        .selectFrom("sandboxes")
        .selectAll()
        .where("state_deadline", ">", sql.lit(0))
        .where("state_deadline", "<=", nowMs)
        .orderBy("state_deadline")
        .orderBy("id")
        .limit(limit)
        .execute();
      return rows.map(toSandbox);
    },

    countByState: () => countBy("state"),
    countByProvider: () => countBy("provider"),
    diskMb: async (provider) => {
      const { total } = await queries
        .selectFrom("sandboxes")
        .select((build) => build.fn.sum<number | string | null>("disk_mb").as("total"))
        .where("provider", "=", provider)
        .where(living)
        .executeTakeFirstOrThrow();
      return Number(total ?? 0); // A sum of integers is text in PostgreSQL.
    },
    countByWorker: () => countBy("worker_id"),

    purgeDestroyed: async (beforeMs, limit) =>
      await queries.transaction().execute(async (transaction) => {
        const rows = await transaction
          .selectFrom("sandboxes")
          .select("id")
          .where("state", "=", "destroyed")
          .where("updated_at", "<", beforeMs)
          .orderBy("updated_at")
          .limit(limit)
          .execute();
        const ids = rows.map((row) => row.id);
        if (ids.length === 0) return 0;
        // Its lease's row would otherwise stay for ever; the id comes never again, so no generation can fall.
        await transaction.deleteFrom("leases").where("resource_id", "in", ids).execute();
        await transaction.deleteFrom("file_link_keys").where("sandbox_id", "in", ids).execute();
        await transaction.deleteFrom("sandbox_labels").where("sandbox_id", "in", ids).execute();
        await transaction.deleteFrom("sandboxes").where("id", "in", ids).execute();
        return ids.length;
      }),
  };
};
