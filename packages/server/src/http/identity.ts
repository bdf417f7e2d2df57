import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import type { Permission } from "@stacyvm/contract";

export type Role = "anonymous" | "api" | "admin";

/** Who asks. */
export interface Identity {
  readonly role: Role;
  /** Header whose key matched; empty for anonymous callers. */
  readonly keyHeader: "" | "X-API-Key" | "X-Admin-API-Key";
  /** Empty without a matched key. */
  readonly tenantId: string;
  /** X-User-ID as it came; its use case checks it. */
  readonly ownerHeader: string;
}

export interface Credentials {
  /** Empty: not configured. */
  readonly apiKey: string;
  readonly adminKey: string;
  /** The API key opens the admin area while no admin key is configured. */
  readonly adminFallback: boolean;
}

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

const single = (headers: IncomingHttpHeaders, name: string): string => {
  const value = headers[name];
  return typeof value === "string" ? value : "";
};

const keyHeaders = ["X-Admin-API-Key", "X-API-Key"] as const;

/** Tells who a request comes from. Keys are kept and compared as digests, in constant time. */
export const createAuthenticator = (credentials: Credentials) => {
  const candidates = (
    [
      ["api", credentials.apiKey],
      ["admin", credentials.adminKey],
    ] as const
  ).flatMap(([role, key]) => (key === "" ? [] : [{ role, digest: digest(key) }]));
  const adminKey =
    credentials.adminKey !== "" ? credentials.adminKey : credentials.adminFallback ? credentials.apiKey : "";
  const adminDigest = adminKey === "" ? undefined : digest(adminKey);

  return {
    /** False while nothing is configured: then everybody may do everything, and the Host and Origin rules are the wall. */
    configured: candidates.length > 0,

    /** The caller; role anonymous without a key that matches. */
    identify(headers: IncomingHttpHeaders): Identity {
      const ownerHeader = single(headers, "x-user-id");
      for (const keyHeader of keyHeaders) {
        const sent = single(headers, keyHeader.toLowerCase());
        if (sent === "") continue;
        const sentDigest = digest(sent);
        const match = candidates.find((candidate) => timingSafeEqual(candidate.digest, sentDigest));
        if (match === undefined) continue;
        return { role: match.role, keyHeader, tenantId: single(headers, "x-tenant-id").trim(), ownerHeader };
      }
      return { role: "anonymous", keyHeader: "", tenantId: "", ownerHeader };
    },

    /** The rule of the admin area: the matching admin key, `scope` when only a role could decide, or `key`. */
    admin(headers: IncomingHttpHeaders): "granted" | "key" | "scope" {
      if (adminDigest === undefined) return candidates.length > 0 ? "scope" : "granted";
      const matches = keyHeaders.some((name) => {
        const sent = single(headers, name.toLowerCase());
        return sent !== "" && timingSafeEqual(digest(sent), adminDigest);
      });
      return matches ? "granted" : "key";
    },
  };
};

export type Authenticator = ReturnType<typeof createAuthenticator>;

const everything = (_permission: Permission): boolean => true;

/** What each role may do. The admin area has a rule of its own in front. */
const grants: Readonly<Record<Role, (permission: Permission) => boolean>> = {
  anonymous: (permission) => permission === "public",
  api: everything,
  admin: everything,
};

/** Whether the role carries the permission; a role that is not known carries none. */
export const mayPerform = (role: Role, permission: Permission): boolean =>
  Object.hasOwn(grants, role) && grants[role](permission);
