import { z } from "zod";
import { defineOperation, json } from "../operation.ts";
import { oneOf, text, timestamp } from "../wire.ts";

/** Longest id of a tenant or a project, and longest name of anything here, characters. */
const idMax = 256;
const nameMax = 256;
/** Longest settings of a tenant as JSON text, characters. */
export const tenantSettingsMax = 65_536;

/** Ids go into addresses and headers, so they hold nothing that either would change. */
const placeId = text(idMax).regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, "may hold letters, digits, dot, _ and - only");
const tenant = text(idMax).min(1);
const memberId = text(512).min(1);

export const Tenant = z
  .strictObject({
    id: z.string(),
    name: z.string(),
    owner_id: z.string(),
    settings: z.string().meta({ description: "The JSON that was given, as text." }),
    created_at: timestamp,
    updated_at: timestamp,
    deleting_at: timestamp
      .optional()
      .meta({ description: "Since then it is being deleted: nothing new is made in it." }),
  })
  .meta({ id: "Tenant" });
export type Tenant = z.output<typeof Tenant>;

export const TenantRequest = z
  .object({
    id: placeId.optional().meta({ description: "`tenant-` and 8 hex digits where absent." }),
    name: text(nameMax).optional(),
    owner_id: text(512).optional(),
    settings: z.unknown().optional().meta({ description: "Any JSON." }),
  })
  .meta({ id: "TenantRequest" });

export const TenantChange = TenantRequest.omit({ id: true }).meta({ id: "TenantChange" });

export const Project = z
  .strictObject({
    tenant_id: z.string(),
    id: z.string(),
    name: z.string(),
    created_at: timestamp,
    updated_at: timestamp,
  })
  .meta({ id: "Project" });
export type Project = z.output<typeof Project>;

export const ProjectRequest = z
  .strictObject({
    id: placeId.optional().meta({ description: "`project-` and 8 hex digits where absent." }),
    name: text(nameMax).min(1, "is required"),
  })
  .meta({ id: "ProjectRequest" });

export const Member = z
  .strictObject({
    tenant_id: z.string(),
    project_id: z.string().optional().meta({ description: "Absent: in the whole tenant." }),
    user_id: z.string().meta({ description: "The subject of the issuer's tokens." }),
    issuer: z.string().optional(),
    role: z.string(),
    created_at: timestamp,
    updated_at: timestamp,
  })
  .meta({ id: "Member" });
export type Member = z.output<typeof Member>;

export const MemberRequest = z
  .object({
    role: text(64).optional().meta({ description: "viewer, operator, or admin, who administers the tenant." }),
    project_id: text(idMax).optional().meta({ description: "In that project alone; absent: in the whole tenant." }),
    issuer: text(2048).optional().meta({ description: "Whose subject it is; the configured issuer where absent." }),
  })
  .meta({ id: "MemberRequest" });

/** Which of somebody's memberships. */
const memberQuery = z.object({ project_id: text(idMax).optional(), issuer: text(2048).optional() });

export const OwnTenant = z
  .strictObject({
    tenant: Tenant,
    project_id: z.string().optional().meta({ description: "Absent: in the whole tenant." }),
    role: z.string(),
  })
  .meta({ id: "OwnTenant" });

const cascade = z.object({
  cascade: oneOf(["true", "false"]).optional().meta({ description: "`true` ends all that is in it first." }),
});

const members = json(z.strictObject({ members: z.array(Member) }));
const projects = json(z.strictObject({ projects: z.array(Project) }));
const oneTenant = json(z.strictObject({ tenant: Tenant }));
const oneProject = json(z.strictObject({ project: Project }));
const oneMember = json(z.strictObject({ member: Member }));

const admin = { permission: "tenant:admin", auditClass: "admin", stream: "none", lenient: true } as const;
/** No field of these is anybody's secret, but a tenant's settings. */
const publicFields = (...fields: readonly string[]) =>
  Object.fromEntries(fields.map((field) => [field, "public" as const]));

const tenantRows = [
  defineOperation({
    ...admin,
    id: "tenants.list",
    method: "GET",
    path: "/api/v1/admin/tenants",
    summary: "List tenants, newest first",
    trailingSlash: true,
    errors: [],
    answers: { 200: json(z.strictObject({ tenants: z.array(Tenant) })) },
  }),
  defineOperation({
    ...admin,
    id: "tenants.create",
    method: "POST",
    path: "/api/v1/admin/tenants",
    summary: "Make a tenant; from the first on, callers without one see what is of none",
    trailingSlash: true,
    auditFields: { id: "public", name: "public", owner_id: "public" },
    errors: ["already_exists"],
    body: TenantRequest,
    answers: { 201: oneTenant },
  }),
  defineOperation({
    ...admin,
    id: "tenants.get",
    method: "GET",
    path: "/api/v1/admin/tenants/{tenant}",
    summary: "Get a tenant",
    auditFields: { tenant: "public" },
    errors: [],
    params: z.strictObject({ tenant }),
    answers: { 200: oneTenant },
  }),
  defineOperation({
    ...admin,
    id: "tenants.update",
    method: "PUT",
    path: "/api/v1/admin/tenants/{tenant}",
    summary: "Change a tenant; what is left out or empty stays",
    auditFields: { tenant: "public", name: "public", owner_id: "public" },
    errors: [],
    params: z.strictObject({ tenant }),
    body: TenantChange,
    answers: { 200: oneTenant },
  }),
  defineOperation({
    ...admin,
    id: "tenants.delete",
    method: "DELETE",
    path: "/api/v1/admin/tenants/{tenant}",
    summary: "Delete a tenant with its projects, members and quotas, once nothing else of it is left",
    auditFields: { tenant: "public", cascade: "public" },
    errors: ["tenant_in_use", "provider_unavailable"],
    params: z.strictObject({ tenant }),
    query: cascade,
    answers: { 204: {} },
  }),
] as const;

const adminMemberRows = [
  defineOperation({
    ...admin,
    id: "members.list",
    method: "GET",
    path: "/api/v1/admin/tenants/{tenant}/members",
    summary: "List a tenant's members, oldest first",
    auditFields: publicFields("tenant"),
    errors: [],
    params: z.strictObject({ tenant }),
    answers: { 200: members },
  }),
  defineOperation({
    ...admin,
    id: "members.save",
    method: "PUT",
    path: "/api/v1/admin/tenants/{tenant}/members/{user}",
    summary: "Give somebody a role in a tenant or one of its projects",
    auditFields: publicFields("tenant", "user", "role", "project_id", "issuer"),
    errors: [],
    params: z.strictObject({ tenant, user: memberId }),
    body: MemberRequest,
    answers: { 200: oneMember },
  }),
  defineOperation({
    ...admin,
    id: "members.delete",
    method: "DELETE",
    path: "/api/v1/admin/tenants/{tenant}/members/{user}",
    summary: "Take a role away; the member's own keys end with it",
    auditFields: publicFields("tenant", "user", "project_id", "issuer"),
    errors: ["member_not_found"],
    params: z.strictObject({ tenant, user: memberId }),
    query: memberQuery,
    answers: { 204: {} },
  }),
] as const;

const adminProjectRows = [
  defineOperation({
    ...admin,
    id: "projects.list",
    method: "GET",
    path: "/api/v1/admin/tenants/{tenant}/projects",
    summary: "List a tenant's projects, oldest first",
    auditFields: publicFields("tenant"),
    errors: [],
    params: z.strictObject({ tenant }),
    answers: { 200: projects },
  }),
  defineOperation({
    ...admin,
    id: "projects.create",
    method: "POST",
    path: "/api/v1/admin/tenants/{tenant}/projects",
    summary: "Make a project, a wall inside a tenant",
    auditFields: publicFields("tenant", "id", "name"),
    errors: ["already_exists"],
    params: z.strictObject({ tenant }),
    body: ProjectRequest,
    answers: { 201: oneProject },
  }),
  defineOperation({
    ...admin,
    id: "projects.delete",
    method: "DELETE",
    path: "/api/v1/admin/tenants/{tenant}/projects/{project}",
    summary: "Delete a project with its members, once nothing else of it is left",
    auditFields: publicFields("tenant", "project"),
    errors: ["tenant_in_use"],
    params: z.strictObject({ tenant, project: tenant }),
    answers: { 204: {} },
  }),
] as const;

const reading = { permission: "tenant:read", auditClass: "read", stream: "none" } as const;
const writing = { permission: "tenant:write", auditClass: "write", stream: "none" } as const;

const ownRows = [
  defineOperation({
    ...reading,
    id: "tenants.own",
    method: "GET",
    path: "/api/v1/tenant",
    summary: "The caller's own tenant and project, and the role there",
    errors: [],
    answers: { 200: json(OwnTenant) },
  }),
  defineOperation({
    ...reading,
    id: "projects.listOwn",
    method: "GET",
    path: "/api/v1/tenant/projects",
    summary: "List the own tenant's projects, as far as the caller is in them",
    errors: [],
    answers: { 200: projects },
  }),
  defineOperation({
    ...writing,
    id: "projects.createOwn",
    method: "POST",
    path: "/api/v1/tenant/projects",
    summary: "Make a project in the own tenant",
    auditFields: publicFields("id", "name"),
    errors: ["already_exists"],
    body: ProjectRequest,
    answers: { 201: oneProject },
  }),
  defineOperation({
    ...writing,
    id: "projects.deleteOwn",
    method: "DELETE",
    path: "/api/v1/tenant/projects/{project}",
    summary: "Delete one of the own tenant's projects, once nothing else of it is left",
    auditFields: publicFields("project"),
    errors: ["tenant_in_use"],
    params: z.strictObject({ project: tenant }),
    answers: { 204: {} },
  }),
  defineOperation({
    ...reading,
    id: "members.listOwn",
    method: "GET",
    path: "/api/v1/tenant/members",
    summary: "List the own tenant's members, as far as the caller is with them",
    errors: [],
    answers: { 200: members },
  }),
  defineOperation({
    ...writing,
    id: "members.saveOwn",
    method: "PUT",
    path: "/api/v1/tenant/members/{user}",
    summary: "Give somebody a role in the own tenant or one of its projects",
    auditFields: publicFields("user", "role", "project_id", "issuer"),
    errors: [],
    params: z.strictObject({ user: memberId }),
    body: MemberRequest,
    answers: { 200: oneMember },
  }),
  defineOperation({
    ...writing,
    id: "members.deleteOwn",
    method: "DELETE",
    path: "/api/v1/tenant/members/{user}",
    summary: "Take a role in the own tenant away; the member's own keys end with it",
    auditFields: publicFields("user", "project_id", "issuer"),
    errors: ["member_not_found"],
    params: z.strictObject({ user: memberId }),
    query: memberQuery,
    answers: { 204: {} },
  }),
] as const;

export const tenantOperations = [...tenantRows, ...adminMemberRows, ...adminProjectRows, ...ownRows] as const;
