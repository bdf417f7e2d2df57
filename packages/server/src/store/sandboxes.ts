import { type Expression, type ExpressionBuilder, type SqlBool, sql } from "kysely";
import type { SandboxState } from "../sandbox/sandbox.ts";
import type { Database } from "./database.ts";
import { fromSandbox, fromSandboxChange, summaryColumns, toSandbox, toSandboxSummary } from "./sandbox-rows.ts";
import type { SandboxFilter, SandboxStore } from "./store.ts";
import type { Tables } from "./tables.ts";

type Build = ExpressionBuilder<Tables, "sandboxes">;

const renewable: readonly SandboxState[] = ["creating", "running", "unhealthy", "error"];

/** Spelled as a literal, in the very words of the partial indexes: with a parameter no planner would use them. */
export const living = (build: Build): Expression<SqlBool> => build("state", "<>", sql.lit("destroyed"));

const matching =
  (filter: SandboxFilter) =>
  (build: Build): Expression<SqlBool> => {
    const parts: Expression<SqlBool>[] = [
      filter.states === undefined ? living(build) : build("state", "in", filter.states),
    ];
    if (filter.provider !== undefined) parts.push(build("provider", "=", filter.provider));
    if (filter.ownerId !== undefined) parts.push(build("owner_id", "=", filter.ownerId));
    if (filter.tenantId !== undefined) parts.push(build("tenant_id", "=", filter.tenantId));
    if (filter.workerId !== undefined) parts.push(build("worker_id", "=", filter.workerId));
    if (filter.imageDigest !== undefined) parts.push(build("image_digest", "=", filter.imageDigest));
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

  const newestFirst = (filter: SandboxFilter) =>
    queries.selectFrom("sandboxes").where(matching(filter)).orderBy("created_at", "desc").orderBy("id", "desc");

  return {
    insert: async (record) => {
      await queries.insertInto("sandboxes").values(fromSandbox(record)).execute();
    },

    get: async (id) => {
      const row = await queries.selectFrom("sandboxes").selectAll().where("id", "=", id).executeTakeFirst();
      return row && toSandbox(row);
    },

    list: async (filter) => {
      if (asksNothing(filter)) return [];
      return (await newestFirst(filter).selectAll().execute()).map(toSandbox);
    },

    listSummaries: async (filter, page) => {
      if (asksNothing(filter)) return [];
      let query = newestFirst(filter).select(summaryColumns);
      if (page !== undefined) query = query.limit(page.limit);
      const after = page?.after;
      if (after !== undefined) {
        query = query.where((build) =>
          build(build.refTuple("created_at", "id"), "<", build.tuple(after.createdAtMs, after.id)),
        );
      }
      return (await query.execute()).map(toSandboxSummary);
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

    listExpired: async (nowMs, limit) => {
      const rows = await queries
        .selectFrom("sandboxes")
        .selectAll()
        .where(living)
        // Transitional states have a deadline of their own. Unequal rather than `in`, which would draw the planner away
        // from the index of expiries.
        .where("state", "<>", "creating")
        .where("state", "<>", "destroying")
        .where("expires_at", "<=", nowMs)
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
        await transaction.deleteFrom("sandboxes").where("id", "in", ids).execute();
        return ids.length;
      }),
  };
};
