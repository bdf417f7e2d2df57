import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { type ApiKeys, looksLikeApiKey } from "../auth/api-keys.ts";
import { ownerIdOf } from "../auth/claims.ts";
import type { Role } from "../auth/roles.ts";
import type { Holder, Tenancy } from "../auth/tenancy.ts";
import type { TokenVerifier } from "../auth/token-verifier.ts";
import { workerTokenPrefix } from "../auth/worker-token.ts";
import { everywhere, placeOf, type Scope } from "../sandbox/scope.ts";
import type { MemberName } from "../store/tenant-store.ts";

/** Who asks. */
export interface Identity {
  readonly role: Role;
  /** Header whose credential counted; empty for anonymous callers. */
  readonly keyHeader: "" | "X-API-Key" | "X-Admin-API-Key" | "Authorization";
  /** Of a named key; empty for every other credential. */
  readonly keyId: string;
  /** The rows that there are for this caller. */
  readonly scope: Scope;
  /** The credential is of a tenant, which no header leads out of. */
  readonly ofTenant: boolean;
  /** The member of tenants that it is, where it is somebody's own credential. */
  readonly member: MemberName | undefined;
  /** X-User-ID as it came, which its use case checks; of a token's bearer its subject, whatever the header says. */
  readonly ownerHeader: string;
  /** When a token or a named key ends, epoch milliseconds; absent: not known to. */
  readonly endsAtMs?: number;
  /** Of a credential that counted: its holder, wherever the request acts. */
  readonly holder?: Holder;
  /** Of a browser that was let in by its cookie: the session's digest. Everything else is as its credential made it. */
  readonly session?: string;
}

export interface Credentials {
  /** Empty: not configured. */
  readonly apiKey: string;
  readonly adminKey: string;
  /** The API key opens the admin area while no admin key is configured. */
  readonly adminFallback: boolean;
  /** Absent: no issuer's tokens are accepted. */
  readonly tokens?: TokenVerifier;
  /** Absent: no named keys are accepted. */
  readonly named?: Pick<ApiKeys, "identify">;
  readonly tenancy: Pick<Tenancy, "stand">;
}

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

const single = (headers: IncomingHttpHeaders, name: string): string => {
  const value = headers[name];
  return typeof value === "string" ? value : "";
};

/** The token of an Authorization header; undefined where there is none of an issuer's, a worker's for one. */
const bearerOf = (headers: IncomingHttpHeaders): string | undefined => {
  const [, token] = /^bearer\s+(.*)$/i.exec(single(headers, "authorization")) ?? [];
  return token === undefined || token.startsWith(workerTokenPrefix) ? undefined : token.trim();
};

/** The caller without any credential, or with one that isn't accepted where none is asked for. */
export const stranger: Identity = {
  role: "anonymous",
  keyHeader: "",
  keyId: "",
  scope: placeOf({}),
  ofTenant: false,
  member: undefined,
  ownerHeader: "",
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

  const { tokens, named, tenancy } = credentials;

  /** What the holder is where the headers say that the request belongs. */
  const standing = (
    holder: Holder,
    rest: Pick<Identity, "keyHeader" | "keyId" | "ownerHeader" | "endsAtMs" | "session">,
    headers: IncomingHttpHeaders,
  ): Identity | Promise<Identity> => {
    const wanted = {
      tenantId: single(headers, "x-tenant-id").trim(),
      projectId: single(headers, "x-project-id").trim(),
    };
    const { member } = holder;
    const found = tenancy.stand(holder, wanted);
    if (found instanceof Promise) return found.then((where) => ({ ...where, ...rest, member, holder }));
    return { ...found, ...rest, member, holder };
  };

  const byToken = async (token: string, verifier: TokenVerifier, headers: IncomingHttpHeaders): Promise<Identity> => {
    const { role, tenantId, ownerId, member, expiresAtMs } = await verifier.verify(token);
    const holder = { role, tenantId, projectId: "", member, credential: "token" } as const;
    const rest = { keyHeader: "Authorization", keyId: "", ownerHeader: ownerId, endsAtMs: expiresAtMs } as const;
    return await standing(holder, rest, headers);
  };

  /** A member's own key speaks for the member, whatever X-User-ID says. */
  const byNamedKey = async (
    keys: Pick<ApiKeys, "identify">,
    { key, keyHeader }: { readonly key: string; readonly keyHeader: (typeof keyHeaders)[number] },
    headers: IncomingHttpHeaders,
  ): Promise<Identity> => {
    const { keyId, expiresAtMs, ...found } = await keys.identify(key);
    const ownerHeader = found.member === undefined ? single(headers, "x-user-id") : ownerIdOf(found.member.userId);
    const ends = expiresAtMs === 0 ? {} : { endsAtMs: expiresAtMs };
    return await standing({ ...found, credential: "key" }, { keyHeader, keyId, ownerHeader, ...ends }, headers);
  };

  const configured = candidates.length > 0 || tokens !== undefined;
  return {
    standing,
    /** False while nothing is configured: then everybody may do everything, and the Host and Origin rules are the wall. */
    configured,
    /** Whether a key could help who has none. */
    takesKeys: candidates.length > 0,

    /**
     * The caller; role anonymous without a credential that matches. A token counts before any key: one that can't be
     * accepted is refused even beside a good key. Throws unauthenticated or issuer_unavailable, by the promise.
     */
    identify(headers: IncomingHttpHeaders): Identity | Promise<Identity> {
      const token = tokens === undefined ? undefined : bearerOf(headers);
      if (tokens !== undefined && token !== undefined) return byToken(token, tokens, headers);
      const ownerHeader = single(headers, "x-user-id");
      let namedKey: { readonly key: string; readonly keyHeader: (typeof keyHeaders)[number] } | undefined;
      for (const keyHeader of keyHeaders) {
        const sent = single(headers, keyHeader.toLowerCase());
        if (sent === "") continue;
        const sentDigest = digest(sent);
        const match = candidates.find((candidate) => timingSafeEqual(candidate.digest, sentDigest));
        if (match === undefined && looksLikeApiKey(sent)) namedKey ??= { key: sent, keyHeader };
        if (match === undefined) continue;
        const holder = { role: match.role, tenantId: "", projectId: "", member: undefined, credential: "key" } as const;
        return standing(holder, { keyHeader, keyId: "", ownerHeader }, headers);
      }
      if (configured && named !== undefined && namedKey !== undefined) return byNamedKey(named, namedKey, headers);
      return { ...stranger, ownerHeader, ...(configured ? {} : { scope: everywhere }) };
    },

    /** The rule of the admin area: the matching admin key, `scope` when only a role could decide, or `key`. */
    admin(headers: IncomingHttpHeaders, identity: Identity): "granted" | "key" | "scope" {
      if (identity.keyHeader === "Authorization" || identity.keyId !== "")
        return identity.role === "admin" ? "granted" : "scope";
      if (adminDigest === undefined) return configured ? "scope" : "granted";
      const matches = keyHeaders.some((name) => {
        const sent = single(headers, name.toLowerCase());
        return sent !== "" && timingSafeEqual(digest(sent), adminDigest);
      });
      return matches ? "granted" : "key";
    },
  };
};

export type Authenticator = ReturnType<typeof createAuthenticator>;
