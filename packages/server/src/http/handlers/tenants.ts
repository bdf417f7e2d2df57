import {
  type Member,
  type MemberRequest,
  type Project,
  StacyError,
  type Tenant,
  type tenantOperations,
  tenantSettingsMax,
} from "@stacyvm/contract";
import type { z } from "zod";
import type { ApiKeys } from "../../auth/api-keys.ts";
import type { Tenancy } from "../../auth/tenancy.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Ids } from "../../lib/id.ts";
import type { UseCases } from "../../orchestrator/use-cases.ts";
import { isWithin, type Place } from "../../sandbox/scope.ts";
import type { Store } from "../../store/store.ts";
import type { MemberRecord, ProjectRecord, TenantRecord } from "../../store/tenant-store.ts";
import type { HandlersOf } from "../handler.ts";
import type { Identity } from "../identity.ts";
import { ownPlace, wholeTenant } from "./own-place.ts";
import { rfc3339 } from "./wire-time.ts";

export interface TenantHandlersOptions {
  readonly store: Pick<Store, "tenants">;
  readonly useCases: Pick<UseCases, "tenants" | "capacityChanged">;
  readonly tenancy: Pick<Tenancy, "changed">;
  readonly apiKeys: Pick<ApiKeys, "changed">;
  readonly clock: Clock;
  readonly ids: Pick<Ids, "tenant" | "project">;
  /** Whose subjects members are where nobody says otherwise. */
  readonly issuer: string;
}

const tenantToWire = (tenant: TenantRecord): Tenant => ({
  id: tenant.id,
  name: tenant.name,
  owner_id: tenant.ownerId,
  settings: tenant.settings,
  created_at: rfc3339(tenant.createdAtMs),
  updated_at: rfc3339(tenant.updatedAtMs),
  ...(tenant.deletingAtMs === 0 ? {} : { deleting_at: rfc3339(tenant.deletingAtMs) }),
});

const projectToWire = (project: ProjectRecord): Project => ({
  tenant_id: project.tenantId,
  id: project.id,
  name: project.name,
  created_at: rfc3339(project.createdAtMs),
  updated_at: rfc3339(project.updatedAtMs),
});

const memberToWire = (member: MemberRecord): Member => ({
  tenant_id: member.tenantId,
  ...(member.projectId === "" ? {} : { project_id: member.projectId }),
  user_id: member.userId,
  ...(member.issuer === "" ? {} : { issuer: member.issuer }),
  role: member.role,
  created_at: rfc3339(member.createdAtMs),
  updated_at: rfc3339(member.updatedAtMs),
});

const noTenant = (): StacyError => new StacyError("tenant_not_found", "tenant not found");

const given = (text: string | undefined): string | undefined => {
  const trimmed = text?.trim() ?? "";
  return trimmed === "" ? undefined : trimmed;
};

/** Undefined where none were given; null is none. Throws invalid_input. */
const settingsOf = (settings: unknown): string | undefined => {
  if (settings === undefined || settings === null) return undefined;
  const text = JSON.stringify(settings);
  if (text.length <= tenantSettingsMax) return text;
  throw new StacyError("invalid_input", `settings must be ${tenantSettingsMax} characters or fewer as JSON`);
};

const memberRoleOf = (role: string | undefined): string => {
  if (role === "viewer" || role === "operator" || role === "admin") return role;
  throw new StacyError("invalid_input", "role must be viewer, operator, or admin");
};

export const tenantHandlers = (options: TenantHandlersOptions): HandlersOf<typeof tenantOperations> => {
  const { useCases, tenancy, clock, ids, issuer } = options;
  const { tenants } = options.store;

  const requireTenant = async (id: string): Promise<TenantRecord> => {
    const tenant = await tenants.get(id);
    if (tenant === undefined) throw noTenant();
    return tenant;
  };

  const createProject = async (tenantId: string, body: { readonly id?: string | undefined; readonly name: string }) => {
    const nowMs = clock.now();
    const times = { createdAtMs: nowMs, updatedAtMs: nowMs };
    const made = await tenants.insertProject({ tenantId, id: body.id ?? ids.project(), name: body.name, ...times });
    if (made === undefined) throw noTenant();
    tenancy.changed();
    return { status: 201, body: { project: projectToWire(made) } } as const;
  };

  const removeProject = async (tenantId: string, id: string) => {
    await useCases.tenants.removeProject(tenantId, id);
    tenancy.changed();
    return { status: 204 } as const;
  };

  const saveMember = async (place: Place, userId: string, body: z.output<typeof MemberRequest>) => {
    const member = {
      ...place,
      userId,
      issuer: given(body.issuer) ?? issuer,
      role: memberRoleOf(body.role),
      updatedAtMs: clock.now(),
    };
    const saved = await tenants.saveMember(member);
    if (saved === undefined && (await tenants.get(place.tenantId)) === undefined) throw noTenant();
    if (saved === undefined) throw new StacyError("project_not_found", "project not found");
    tenancy.changed();
    return { status: 200, body: { member: memberToWire(saved) } } as const;
  };

  const removeMember = async (place: Place, userId: string, from: string | undefined) => {
    const member = { ...place, userId, issuer: given(from) ?? issuer };
    if (!(await tenants.deleteMember(member, clock.now()))) {
      throw new StacyError("member_not_found", "member not found");
    }
    tenancy.changed();
    options.apiKeys.changed();
    return { status: 204 } as const;
  };

  /** In a project that project and no other. */
  const ownMemberPlace = (identity: Identity, projectId: string | undefined): Place => {
    const own = ownPlace(identity);
    const wanted = given(projectId) ?? own.projectId;
    if (own.projectId !== "" && wanted !== own.projectId) {
      throw new StacyError("project_not_found", "project not found");
    }
    return { tenantId: own.tenantId, projectId: wanted };
  };

  return {
    "tenants.list": async () => ({ status: 200, body: { tenants: (await tenants.list()).map(tenantToWire) } }),

    "tenants.create": async ({ body }) => {
      const name = given(body.name);
      if (name === undefined) throw new StacyError("invalid_input", "name is required");
      const nowMs = clock.now();
      const tenant = {
        id: body.id ?? ids.tenant(),
        name,
        ownerId: body.owner_id?.trim() ?? "",
        settings: settingsOf(body.settings) ?? "{}",
        createdAtMs: nowMs,
        updatedAtMs: nowMs,
      };
      await tenants.insert(tenant);
      tenancy.changed();
      return { status: 201, body: { tenant: tenantToWire({ ...tenant, deletingAtMs: 0 }) } };
    },

    "tenants.get": async ({ params }) => ({
      status: 200,
      body: { tenant: tenantToWire(await requireTenant(params.tenant)) },
    }),

    "tenants.update": async ({ params, body }) => {
      const [name, ownerId, settings] = [given(body.name), given(body.owner_id), settingsOf(body.settings)];
      const change = {
        ...(name === undefined ? {} : { name }),
        ...(ownerId === undefined ? {} : { ownerId }),
        ...(settings === undefined ? {} : { settings }),
      };
      const changed = await tenants.update(params.tenant, change, clock.now());
      if (changed === undefined) throw noTenant();
      return { status: 200, body: { tenant: tenantToWire(changed) } };
    },

    "tenants.delete": async ({ params, query, signal }) => {
      try {
        await useCases.tenants.remove(params.tenant, query.cascade === "true", signal);
      } finally {
        options.apiKeys.changed();
        tenancy.changed();
        useCases.capacityChanged();
      }
      return { status: 204 };
    },

    "members.list": async ({ params }) => {
      await requireTenant(params.tenant);
      return { status: 200, body: { members: (await tenants.listMembers(params.tenant)).map(memberToWire) } };
    },

    "members.save": async ({ params, body }) =>
      await saveMember({ tenantId: params.tenant, projectId: given(body.project_id) ?? "" }, params.user, body),

    "members.delete": async ({ params, query }) =>
      await removeMember({ tenantId: params.tenant, projectId: query.project_id ?? "" }, params.user, query.issuer),

    "projects.list": async ({ params }) => {
      await requireTenant(params.tenant);
      return { status: 200, body: { projects: (await tenants.listProjects(params.tenant)).map(projectToWire) } };
    },

    "projects.create": async ({ params, body }) => await createProject(params.tenant, body),

    "projects.delete": async ({ params }) => await removeProject(params.tenant, params.project),

    "tenants.own": async ({ identity }) => {
      const { tenantId, projectId } = ownPlace(identity);
      const tenant = tenantToWire(await requireTenant(tenantId));
      const of = projectId === "" ? {} : { project_id: projectId };
      return { status: 200, body: { tenant, ...of, role: identity.role } };
    },

    "projects.listOwn": async ({ identity }) => {
      const { tenantId } = ownPlace(identity);
      const all = (await tenants.listProjects(tenantId)).map((project) => ({ ...project, projectId: project.id }));
      return {
        status: 200,
        body: { projects: all.filter((one) => isWithin(one, identity.scope)).map(projectToWire) },
      };
    },

    "projects.createOwn": async ({ identity, body }) => await createProject(wholeTenant(identity), body),

    "projects.deleteOwn": async ({ identity, params }) => await removeProject(wholeTenant(identity), params.project),

    "members.listOwn": async ({ identity }) => {
      const all = await tenants.listMembers(ownPlace(identity).tenantId);
      return {
        status: 200,
        body: { members: all.filter((one) => isWithin(one, identity.scope)).map(memberToWire) },
      };
    },

    "members.saveOwn": async ({ identity, params, body }) =>
      await saveMember(ownMemberPlace(identity, body.project_id), params.user, body),

    "members.deleteOwn": async ({ identity, params, query }) =>
      await removeMember(ownMemberPlace(identity, query.project_id), params.user, query.issuer),
  };
};
