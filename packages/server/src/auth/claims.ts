import { createHash } from "node:crypto";
import { StacyError } from "@stacyvm/contract";
import type { JWTPayload } from "jose";
import { parseOwnerId } from "../sandbox/owner.ts";
import type { MemberName } from "../store/tenant-store.ts";
import type { Role } from "./roles.ts";
import { placeIdMax } from "./tenancy.ts";

/** How an issuer's claims become what somebody is here. */
export interface ClaimRules {
  /** A claim's name, or a path with dots to one that lies deeper, such as `realm_access.roles`. */
  readonly groupsClaim: string;
  readonly tenantClaim: string;
  readonly adminGroups: readonly string[];
  readonly tenantAdminGroups: readonly string[];
  readonly operatorGroups: readonly string[];
  readonly viewerGroups: readonly string[];
  /** Of a valid token whose groups give none. */
  readonly defaultRole: "none" | "viewer" | "api" | "operator";
}

/** Whom a token names. */
export interface TokenIdentity {
  /** The subject, where an owner's id may be so; else what stands for it and nobody else. */
  readonly ownerId: string;
  /** `anonymous`: the token is valid, and nothing in it gives a role. */
  readonly role: Role;
  /** Empty: the token names none. */
  readonly tenantId: string;
  /** As the issuer and its tokens call them. */
  readonly member: MemberName;
}

/** Most groups of a token that are looked at. */
const groupsMax = 1_000;

/** A claim whose own name has dots, as a namespaced one does, comes before the path. */
const claimAt = (claims: JWTPayload, path: string): unknown => {
  if (Object.hasOwn(claims, path)) return claims[path];
  let value: unknown = claims;
  for (const name of path.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
};

/** One group may come as text alone. Anything else that isn't text is nobody's group. */
const groupsOf = (claim: unknown): readonly string[] => {
  if (typeof claim === "string") return [claim];
  return Array.isArray(claim) ? claim.slice(0, groupsMax).filter((group) => typeof group === "string") : [];
};

/** Subjects such as `repo:org/name` hold what an owner's id may not. */
export const ownerIdOf = (subject: string): string => {
  try {
    return parseOwnerId(subject);
  } catch (error) {
    if (!(error instanceof StacyError)) throw error;
    return `sub-${createHash("sha256").update(subject).digest("hex").slice(0, 32)}`;
  }
};

/** The strongest role that a group gives, or else the default. */
export const identityOf = (claims: JWTPayload & { readonly sub: string }, rules: ClaimRules): TokenIdentity => {
  const groups = new Set(groupsOf(claimAt(claims, rules.groupsClaim)));
  const isIn = (wanted: readonly string[]): boolean => wanted.some((group) => groups.has(group));
  const fallback: Role = rules.defaultRole === "none" ? "anonymous" : rules.defaultRole;
  const role = isIn(rules.adminGroups)
    ? "admin"
    : isIn(rules.tenantAdminGroups)
      ? "tenant_admin"
      : isIn(rules.operatorGroups)
        ? "operator"
        : isIn(rules.viewerGroups)
          ? "viewer"
          : fallback;
  const tenant = claimAt(claims, rules.tenantClaim);
  const tenantId = typeof tenant === "string" ? tenant.trim() : "";
  return {
    ownerId: ownerIdOf(claims.sub),
    role,
    tenantId: tenantId.length > placeIdMax ? "" : tenantId,
    member: { issuer: claims.iss ?? "", userId: claims.sub },
  };
};
