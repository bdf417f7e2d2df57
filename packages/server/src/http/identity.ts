import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { type ApiKeys, looksLikeApiKey } from "../auth/api-keys.ts";
import type { Role } from "../auth/roles.ts";
import type { TokenVerifier } from "../auth/token-verifier.ts";
import { workerTokenPrefix } from "../auth/worker-token.ts";

/** Who asks. */
export interface Identity {
  readonly role: Role;
  /** Header whose credential counted; empty for anonymous callers. */
  readonly keyHeader: "" | "X-API-Key" | "X-Admin-API-Key" | "Authorization";
  /** Of a named key; empty for every other credential. */
  readonly keyId: string;
  /** Empty without a credential, and where the token names none. */
  readonly tenantId: string;
  /** X-User-ID as it came, which its use case checks; of a token's bearer its subject, whatever the header says. */
  readonly ownerHeader: string;
  /** When a token or a named key ends, epoch milliseconds; absent: not known to. */
  readonly endsAtMs?: number;
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

  const { tokens, named } = credentials;

  const byToken = async (token: string, verifier: TokenVerifier): Promise<Identity> => {
    const { role, tenantId, ownerId, expiresAtMs } = await verifier.verify(token);
    return { role, keyHeader: "Authorization", keyId: "", tenantId, ownerHeader: ownerId, endsAtMs: expiresAtMs };
  };

  /** Of a tenant's key the tenant stays; with any other the header names one. */
  const byNamedKey = async (
    keys: Pick<ApiKeys, "identify">,
    { key, keyHeader }: { readonly key: string; readonly keyHeader: (typeof keyHeaders)[number] },
    headers: IncomingHttpHeaders,
  ): Promise<Identity> => {
    const { keyId, role, tenantId, expiresAtMs } = await keys.identify(key);
    const ends = expiresAtMs === 0 ? {} : { endsAtMs: expiresAtMs };
    const of = tenantId === "" ? single(headers, "x-tenant-id").trim() : tenantId;
    return { role, keyHeader, keyId, tenantId: of, ownerHeader: single(headers, "x-user-id"), ...ends };
  };

  const configured = candidates.length > 0 || tokens !== undefined;
  return {
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
      if (tokens !== undefined && token !== undefined) return byToken(token, tokens);
      const ownerHeader = single(headers, "x-user-id");
      let namedKey: { readonly key: string; readonly keyHeader: (typeof keyHeaders)[number] } | undefined;
      for (const keyHeader of keyHeaders) {
        const sent = single(headers, keyHeader.toLowerCase());
        if (sent === "") continue;
        const sentDigest = digest(sent);
        const match = candidates.find((candidate) => timingSafeEqual(candidate.digest, sentDigest));
        if (match === undefined && looksLikeApiKey(sent)) namedKey ??= { key: sent, keyHeader };
        if (match === undefined) continue;
        return { role: match.role, keyHeader, keyId: "", tenantId: single(headers, "x-tenant-id").trim(), ownerHeader };
      }
      if (configured && named !== undefined && namedKey !== undefined) return byNamedKey(named, namedKey, headers);
      return { role: "anonymous", keyHeader: "", keyId: "", tenantId: "", ownerHeader };
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
