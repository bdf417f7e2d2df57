import { StacyError } from "@stacyvm/contract";
import { type Place, placeOf } from "../../sandbox/scope.ts";
import type { Identity } from "../identity.ts";

/** The caller's own place. Throws tenant_not_found for who is in no tenant. */
export const ownPlace = ({ scope }: Identity): Place => {
  const place = placeOf(scope);
  if (place.tenantId === "") throw new StacyError("tenant_not_found", "the caller is in no tenant");
  return place;
};

/** Throws permission_denied in a project: what concerns the whole tenant is not for it. */
export const wholeTenant = (identity: Identity): string => {
  const { tenantId, projectId } = ownPlace(identity);
  if (projectId === "") return tenantId;
  throw new StacyError("permission_denied", "that concerns the whole tenant, and the caller is in one of its projects");
};
