import { type RawBuilder, sql } from "kysely";
import type { Migration } from "./migration.ts";

/** Defaults are what an older program, still running, leaves out. */
export const tenants: Migration = {
  version: 6,
  name: "tenants",
  up: async (transaction, { text, integer, tableEnd }) => {
    const none = sql`${text} not null default ''`;
    const zero = sql`${integer} not null default 0`;
    const create = (name: string, columns: RawBuilder<unknown>): RawBuilder<unknown> =>
      sql`create table ${sql.table(name)} (${columns}) ${tableEnd}`;
    const replace = (name: string, columns: RawBuilder<unknown>, kept: readonly string[]): RawBuilder<unknown>[] => {
      const names = sql.join(kept.map((column) => sql.ref(column)));
      return [
        create(`${name}_next`, columns),
        sql`insert into ${sql.table(`${name}_next`)} (${names}) select ${names} from ${sql.table(name)}`,
        sql`drop table ${sql.table(name)}`,
        sql`alter table ${sql.table(`${name}_next`)} rename to ${sql.table(name)}`,
      ];
    };
    const statements = [
      create(
        "tenants",
        sql`id ${text} not null, name ${text} not null, owner_id ${none}, settings ${text} not null,
        created_at ${integer} not null, updated_at ${integer} not null, deleting_at ${zero},
        constraint tenants_pk primary key (id)`,
      ),
      create(
        "projects",
        sql`tenant_id ${text} not null, id ${text} not null, name ${text} not null,
        created_at ${integer} not null, updated_at ${integer} not null,
        constraint projects_pk primary key (tenant_id, id)`,
      ),
      create(
        "tenant_members",
        sql`tenant_id ${text} not null, project_id ${none}, issuer ${none}, user_id ${text} not null,
        role ${text} not null, created_at ${integer} not null, updated_at ${integer} not null,
        constraint tenant_members_pk primary key (tenant_id, project_id, issuer, user_id)`,
      ),
      sql`create index idx_tenant_members_who on tenant_members (issuer, user_id)`,
      sql`alter table sandboxes add column project_id ${none}`,
      sql`drop index idx_sandboxes_living_owner_name`,
      sql`create unique index idx_sandboxes_living_place_name on sandboxes (tenant_id, project_id, owner_id, name)
        where state <> 'destroyed' and name <> ''`,
      ...["project_id", "member_issuer", "member_id"].map(
        (column) => sql`alter table api_keys add column ${sql.ref(column)} ${none}`,
      ),
      sql`create index idx_api_keys_tenant on api_keys (tenant_id, created_at, id)`,
      ...replace(
        "owner_quotas",
        sql`tenant_id ${none}, owner_id ${text} not null, max_sandboxes ${integer} not null,
        max_ttl_ms ${integer} not null, max_exec_timeout_ms ${integer} not null,
        created_at ${integer} not null, updated_at ${integer} not null,
        constraint owner_quotas_tenant_pk primary key (tenant_id, owner_id)`,
        ["owner_id", "max_sandboxes", "max_ttl_ms", "max_exec_timeout_ms", "created_at", "updated_at"],
      ),
      ...replace(
        "templates",
        sql`tenant_id ${none}, project_id ${none}, name ${text} not null, version ${integer} not null,
        image ${text} not null, description ${text} not null, setup ${text} not null,
        allowed_hosts ${text} not null, memory_mb ${integer} not null, cpu_cores ${integer} not null,
        ttl_seconds ${integer} not null, env ${text} not null, secrets ${text} not null,
        pool_size ${integer} not null, provider ${text} not null, metadata ${text} not null,
        created_at ${integer} not null, updated_at ${integer} not null,
        constraint templates_place_pk primary key (tenant_id, project_id, name)`,
        [
          "name",
          "version",
          "image",
          "description",
          "setup",
          "allowed_hosts",
          "memory_mb",
          "cpu_cores",
          "ttl_seconds",
          "env",
          "secrets",
          "pool_size",
          "provider",
          "metadata",
          "created_at",
          "updated_at",
        ],
      ),
    ];
    for (const statement of statements) await statement.execute(transaction);
  },
};
