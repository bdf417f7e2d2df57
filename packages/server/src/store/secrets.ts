import { StacyError } from "@stacyvm/contract";
import { type Expression, type ExpressionBuilder, type Selectable, type SqlBool, sql, type Transaction } from "kysely";
import type { Place } from "../sandbox/scope.ts";
import type { Database } from "./database.ts";
import { inParts } from "./in-parts.ts";
import { stringListColumn } from "./json-column.ts";
import { requirePlace } from "./place.ts";
import type { SecretRecord, SecretRef, SecretStore } from "./secret-store.ts";
import type { SecretsTable, Tables } from "./tables.ts";

const hostsColumn = stringListColumn("secrets.hosts");
const ownersColumn = stringListColumn("secrets.owners");

const toSecret = (row: Selectable<SecretsTable>): SecretRecord => ({
  tenantId: row.tenant_id,
  projectId: row.project_id,
  name: row.name,
  version: row.version,
  sealed: row.sealed,
  hosts: hostsColumn.read(row.hosts),
  owners: ownersColumn.read(row.owners),
  createdBy: row.created_by,
  createdAtMs: row.created_at,
  updatedAtMs: row.updated_at,
  lastUsedAtMs: row.last_used_at,
});

type Build = ExpressionBuilder<Tables, "secrets">;

const isAt =
  ({ tenantId, projectId }: Place) =>
  (build: Build): Expression<SqlBool> =>
    build.and([build("tenant_id", "=", tenantId), build("project_id", "=", projectId)]);

const isThat =
  (place: Place, name: string) =>
  (build: Build): Expression<SqlBool> =>
    build.and([isAt(place)(build), build("name", "=", name)]);

const isAfter = ({ tenantId, projectId, name }: SecretRef) =>
  sql<SqlBool>`(tenant_id, project_id, name) > (${tenantId}, ${projectId}, ${name})`;

/** Throws where one more would be too many. Two that save at once wait for each other before. */
const requireRoom = async (
  transaction: Transaction<Tables>,
  place: Place,
  { name, max }: { readonly name: string; readonly max: number },
): Promise<void> => {
  const others = transaction
    .selectFrom("secrets")
    .select((build) => build.fn.countAll().as("count"))
    .where(isAt(place));
  const { count } = await others.where("name", "<>", name).executeTakeFirstOrThrow();
  if (Number(count) < max) return;
  throw new StacyError("too_many_secrets", `conflict: there are ${max} secrets here already, the most there may be`);
};

export const secretStore = (database: Database): SecretStore => {
  const { queries } = database;
  return {
    save: async ({ tenantId, projectId, name, sealed, hosts, owners, createdBy, nowMs }, max) => {
      const place = { tenantId, projectId };
      const content = {
        sealed,
        hosts: hostsColumn.write(hosts),
        owners: ownersColumn.write(owners),
        updated_at: nowMs,
      };
      const first = { version: 1, created_by: createdBy, created_at: nowMs, last_used_at: 0 };
      return await queries.transaction().execute(async (transaction) => {
        await requirePlace(database, transaction, place);
        await database.lockInTransaction(transaction, `secrets ${JSON.stringify([tenantId, projectId])}`);
        await requireRoom(transaction, place, { name, max });
        const row = await transaction
          .insertInto("secrets")
          .values({ tenant_id: tenantId, project_id: projectId, name, ...content, ...first })
          .onConflict((conflict) =>
            conflict
              .columns(["tenant_id", "project_id", "name"])
              .doUpdateSet((build) => ({ ...content, version: build("secrets.version", "+", 1) })),
          )
          .returningAll()
          .executeTakeFirstOrThrow();
        return toSecret(row);
      });
    },

    find: async (place, name) => {
      const row = await queries.selectFrom("secrets").selectAll().where(isThat(place, name)).executeTakeFirst();
      return row && toSecret(row);
    },

    list: async (place) =>
      (await queries.selectFrom("secrets").selectAll().where(isAt(place)).orderBy("name").execute()).map(toSecret),

    current: (refs) =>
      inParts(refs, async (part) => {
        const rows = queries.selectFrom("secrets").selectAll();
        const any = rows.where((build) => build.or(part.map((ref) => isThat(ref, ref.name)(build))));
        return (await any.execute()).map(toSecret);
      }),

    delete: async (place, name) => {
      const deleted = queries.deleteFrom("secrets").where(isThat(place, name));
      return (await deleted.executeTakeFirstOrThrow()).numDeletedRows > 0n;
    },

    touch: async (place, name, atMs) => {
      const used = queries.updateTable("secrets").set({ last_used_at: atMs }).where(isThat(place, name));
      await used.where("last_used_at", "<", atMs).execute();
    },

    page: async (after, limit) => {
      const rows = queries.selectFrom("secrets").selectAll();
      const rest = after === undefined ? rows : rows.where(isAfter(after));
      const sorted = rest.orderBy("tenant_id").orderBy("project_id").orderBy("name");
      return (await sorted.limit(limit).execute()).map(toSecret);
    },

    replaceSealed: async (ref, from, to) => {
      const changed = queries.updateTable("secrets").set({ sealed: to }).where(isThat(ref, ref.name));
      return (await changed.where("sealed", "=", from).executeTakeFirstOrThrow()).numUpdatedRows > 0n;
    },
  };
};
