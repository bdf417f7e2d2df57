import { type Expression, type ExpressionBuilder, type SqlBool, sql } from "kysely";
import type { SandboxPage, SandboxSort } from "./store.ts";
import type { Tables } from "./tables.ts";

type Build = ExpressionBuilder<Tables, "sandboxes">;

const columns = { createdAt: "created_at", expiresAt: "expires_at", name: "name" } as const;

export const newestFirst: SandboxSort = { by: "createdAt", descending: true };

/** What a page of an order is sorted by: the column, then the id, both the same way. */
export const orderOf = ({ by, descending }: SandboxSort) => ({
  column: columns[by],
  direction: descending ? ("desc" as const) : ("asc" as const),
});

/** The rows behind a position. */
export const isBehind =
  (sort: SandboxSort, after: NonNullable<SandboxPage["after"]>) =>
  (build: Build): Expression<SqlBool> => {
    const sign = sql.raw(sort.descending ? "<" : ">");
    return sql<SqlBool>`(${build.ref(columns[sort.by])}, ${build.ref("id")}) ${sign} (${after.value}, ${after.id})`;
  };
