import type { Permission } from "@stacyvm/contract";

/** What somebody is here. `api` is the holder of the plain API key. */
export type Role = "anonymous" | "viewer" | "api" | "operator" | "tenant_admin" | "admin";

/** From the weakest on; `api` and `operator` may do the same. */
const ranks: readonly Role[] = ["anonymous", "viewer", "api", "operator", "tenant_admin", "admin"];

export const isWeakerOrSame = (role: Role, than: Role): boolean => ranks.indexOf(role) <= ranks.indexOf(than);

/** What concerns the server as a whole: of use to whom it belongs, and none of a tenant's business. */
const ofServer: readonly Permission[] = ["worker:read", "pool:read", "metrics:read", "system:read"];

/** What a tenant's administrator may do beyond its operators. */
const governing: readonly Permission[] = ["quota:write", "tenant:write"];

const looking = (permission: Permission): boolean =>
  permission === "public" || permission === "key:own" || permission === "session:own" || permission.endsWith(":read");

const governingToo = (permission: Permission): boolean => !permission.endsWith(":admin");

const working = (permission: Permission): boolean => governingToo(permission) && !governing.includes(permission);

/** What each role may do. The admin area has a rule of its own in front. */
const grants: Readonly<Record<Role, (permission: Permission) => boolean>> = {
  anonymous: (permission) => permission === "public",
  viewer: looking,
  api: working,
  operator: working,
  tenant_admin: governingToo,
  admin: () => true,
};

/** Whether the role carries the permission, for somebody of a tenant or not; a role that is not known carries none. */
export const mayPerform = (role: Role, permission: Permission, ofTenant: boolean): boolean =>
  Object.hasOwn(grants, role) && grants[role](permission) && !(ofTenant && ofServer.includes(permission));
