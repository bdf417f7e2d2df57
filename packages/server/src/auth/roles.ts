import type { Permission } from "@stacyvm/contract";

/** What somebody is here. `api` is the holder of the plain API key. */
export type Role = "anonymous" | "viewer" | "api" | "operator" | "tenant_admin" | "admin";

const everything = (_permission: Permission): boolean => true;

const allButAdministration = (permission: Permission): boolean => !permission.endsWith(":admin");

const looking = (permission: Permission): boolean =>
  permission === "public" || permission === "session:own" || permission.endsWith(":read");

/** What each role may do. The admin area has a rule of its own in front. */
const grants: Readonly<Record<Role, (permission: Permission) => boolean>> = {
  anonymous: (permission) => permission === "public",
  viewer: looking,
  api: allButAdministration,
  operator: allButAdministration,
  tenant_admin: allButAdministration,
  admin: everything,
};

/** Whether the role carries the permission; a role that is not known carries none. */
export const mayPerform = (role: Role, permission: Permission): boolean =>
  Object.hasOwn(grants, role) && grants[role](permission);
