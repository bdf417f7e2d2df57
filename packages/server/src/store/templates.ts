import type { Expression, ExpressionBuilder, Insertable, Selectable, SqlBool } from "kysely";
import type { Place } from "../sandbox/scope.ts";
import type { Database } from "./database.ts";
import { secretRefsColumn, stringListColumn, stringMapColumn } from "./json-column.ts";
import { requirePlace } from "./place.ts";
import type { Template, TemplateStore } from "./store.ts";
import type { Tables, TemplatesTable } from "./tables.ts";

const setup = stringListColumn("templates.setup");
const allowedHosts = stringListColumn("templates.allowed_hosts");
const env = stringMapColumn("templates.env");
const secrets = secretRefsColumn("templates.secrets");
const metadata = stringMapColumn("templates.metadata");

const toTemplate = (row: Selectable<TemplatesTable>): Template => ({
  tenantId: row.tenant_id,
  projectId: row.project_id,
  name: row.name,
  version: row.version,
  image: row.image,
  description: row.description,
  setup: setup.read(row.setup),
  allowedHosts: allowedHosts.read(row.allowed_hosts),
  memoryMb: row.memory_mb,
  cpuCores: row.cpu_cores,
  ttlSeconds: row.ttl_seconds,
  env: env.read(row.env),
  secrets: secrets.read(row.secrets),
  poolSize: row.pool_size,
  provider: row.provider,
  metadata: metadata.read(row.metadata),
  createdAtMs: row.created_at,
  updatedAtMs: row.updated_at,
});

const fromTemplate = (template: Template): Insertable<TemplatesTable> => ({
  tenant_id: template.tenantId,
  project_id: template.projectId,
  name: template.name,
  version: template.version,
  image: template.image,
  description: template.description,
  setup: setup.write(template.setup),
  allowed_hosts: allowedHosts.write(template.allowedHosts),
  memory_mb: template.memoryMb,
  cpu_cores: template.cpuCores,
  ttl_seconds: template.ttlSeconds,
  env: env.write(template.env),
  secrets: secrets.write(template.secrets),
  pool_size: template.poolSize,
  provider: template.provider,
  metadata: metadata.write(template.metadata),
  created_at: template.createdAtMs,
  updated_at: template.updatedAtMs,
});

const isAt =
  ({ tenantId, projectId }: Place) =>
  (build: ExpressionBuilder<Tables, "templates">): Expression<SqlBool> =>
    build.and([build("tenant_id", "=", tenantId), build("project_id", "=", projectId)]);

export const templateStore = (database: Database): TemplateStore => ({
  insert: async (template) => {
    await database.queries.transaction().execute(async (transaction) => {
      await requirePlace(database, transaction, template);
      await transaction.insertInto("templates").values(fromTemplate(template)).execute();
    });
  },

  get: async (place, name) => {
    const rows = database.queries.selectFrom("templates").selectAll().where(isAt(place)).where("name", "=", name);
    const row = await rows.executeTakeFirst();
    return row && toTemplate(row);
  },

  list: async (place) => {
    const rows = database.queries.selectFrom("templates").selectAll().orderBy("name");
    return (await (place === undefined ? rows : rows.where(isAt(place))).execute()).map(toTemplate);
  },

  update: async (place, name, change) =>
    await database.queries.transaction().execute(async (transaction) => {
      await database.lockInTransaction(
        transaction,
        `template ${JSON.stringify([place.tenantId, place.projectId, name])}`,
      );
      const rows = transaction.selectFrom("templates").selectAll().where(isAt(place)).where("name", "=", name);
      const row = await rows.executeTakeFirst();
      if (row === undefined) return undefined;
      const kept = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
      const { name: _, created_at: __, ...columns } = fromTemplate({ ...toTemplate(row), ...kept });
      const updated = await transaction
        .updateTable("templates")
        .set(columns)
        .where(isAt(place))
        .where("name", "=", name)
        .returningAll()
        .executeTakeFirst();
      return updated && toTemplate(updated);
    }),

  delete: async (place, name) => {
    const { numDeletedRows } = await database.queries
      .deleteFrom("templates")
      .where(isAt(place))
      .where("name", "=", name)
      .executeTakeFirstOrThrow();
    return numDeletedRows > 0n;
  },
});
