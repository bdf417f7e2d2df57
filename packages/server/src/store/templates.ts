import type { Insertable, Selectable } from "kysely";
import type { Database } from "./database.ts";
import { secretRefsColumn, stringListColumn, stringMapColumn } from "./json-column.ts";
import type { Template, TemplateStore } from "./store.ts";
import type { TemplatesTable } from "./tables.ts";

const setup = stringListColumn("templates.setup");
const allowedHosts = stringListColumn("templates.allowed_hosts");
const env = stringMapColumn("templates.env");
const secrets = secretRefsColumn("templates.secrets");
const metadata = stringMapColumn("templates.metadata");

const toTemplate = (row: Selectable<TemplatesTable>): Template => ({
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

export const templateStore = (database: Database): TemplateStore => ({
  insert: async (template) => {
    await database.queries.insertInto("templates").values(fromTemplate(template)).execute();
  },

  get: async (name) => {
    const row = await database.queries.selectFrom("templates").selectAll().where("name", "=", name).executeTakeFirst();
    return row && toTemplate(row);
  },

  list: async () =>
    (await database.queries.selectFrom("templates").selectAll().orderBy("name").execute()).map(toTemplate),

  update: async (name, change) =>
    await database.queries.transaction().execute(async (transaction) => {
      await database.lockInTransaction(transaction, `template ${name}`);
      const row = await transaction.selectFrom("templates").selectAll().where("name", "=", name).executeTakeFirst();
      if (row === undefined) return undefined;
      const kept = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
      const { name: _, created_at: __, ...columns } = fromTemplate({ ...toTemplate(row), ...kept });
      const updated = await transaction
        .updateTable("templates")
        .set(columns)
        .where("name", "=", name)
        .returningAll()
        .executeTakeFirst();
      return updated && toTemplate(updated);
    }),

  delete: async (name) => {
    const { numDeletedRows } = await database.queries
      .deleteFrom("templates")
      .where("name", "=", name)
      .executeTakeFirstOrThrow();
    return numDeletedRows > 0n;
  },
});
