import { createHmac, timingSafeEqual } from "node:crypto";
import type { Secret } from "../lib/secret.ts";

/** Whom a token is shown to: the control plane by a worker, or a worker by the control plane. */
export const workerAudiences = ["worker:control-plane", "worker:rpc"] as const;
export type WorkerAudience = (typeof workerAudiences)[number];

export const workerScopes = [
  "worker:heartbeat",
  "worker:spawn",
  "worker:destroy",
  "worker:status",
  "worker:exec",
  "worker:files",
  "worker:logs",
  "worker:lease",
] as const;
export type WorkerScope = (typeof workerScopes)[number];

/** Longest life of a token, milliseconds. */
export const workerTokenTtlMaxMs = 900_000;

export const workerTokenPrefix = "stacyvm-worker-v1.";

export interface WorkerClaims {
  readonly workerId: string;
  /** Empty: it can't be revoked by itself. */
  readonly tokenId: string;
  readonly audience: WorkerAudience;
  /** Empty: every worker scope. */
  readonly scopes: readonly WorkerScope[];
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
}

export interface WorkerTokenRules {
  /** Those that count; the first is the one that signs. */
  readonly keys: readonly Secret[];
  readonly audience: WorkerAudience;
  /** Who says that it is its token. */
  readonly workerId: string;
  readonly revokedTokenIds: readonly string[];
  readonly nowMs: number;
}

/** `refused`: a key of ours signed it, and it doesn't count, so nothing else may be tried. `foreign`: none of ours did. */
export type WorkerVerdict =
  | { readonly kind: "accepted"; readonly scopes: readonly WorkerScope[] }
  | { readonly kind: "refused"; readonly why: string }
  | { readonly kind: "foreign" };

/** Clocks of two machines may differ by this, seconds. */
const leewaySeconds = 30;
/** Longest token, characters. */
const workerTokenMax = 8_192;

const base64url = (value: string | Buffer): string => Buffer.from(value).toString("base64url");
const mac = (signed: string, key: Secret): Buffer => createHmac("sha256", key.reveal()).update(signed).digest();

/** The token in the form that older workers know: prefix, claims, HMAC-SHA256 over both. */
export const signWorkerToken = (claims: WorkerClaims, key: Secret): string => {
  const { workerId, tokenId, audience, scopes } = claims;
  const payload = JSON.stringify({
    worker_id: workerId,
    ...(tokenId === "" ? {} : { jti: tokenId }),
    aud: audience,
    ...(scopes.length === 0 ? {} : { scopes }),
    exp: Math.floor(claims.expiresAtMs / 1000),
    iat: Math.floor(claims.issuedAtMs / 1000),
  });
  const signed = `${workerTokenPrefix}${base64url(payload)}`;
  return `${signed}.${base64url(mac(signed, key))}`;
};

/**
 * Whether a token counts now. Scopes that no worker has are left out; a token that names only such ones carries none,
 * and one that names none carries all.
 * @public for the workers' routes, which a control plane of many hosts has
 */
export const verifyWorkerToken = (token: string, rules: WorkerTokenRules): WorkerVerdict => {
  const parts = token.split(".");
  const [, payload = "", signature = ""] = parts;
  if (token.length > workerTokenMax || parts.length !== 3 || !token.startsWith(workerTokenPrefix)) {
    return { kind: "foreign" };
  }
  const given = Buffer.from(signature, "base64url");
  const signed = `${workerTokenPrefix}${payload}`;
  const isOurs = rules.keys.some((key) => {
    const wanted = mac(signed, key);
    return given.length === wanted.length && timingSafeEqual(given, wanted);
  });
  if (!isOurs || base64url(given) !== signature) return { kind: "foreign" };
  const claims = claimsOf(payload);
  const why = claims === undefined ? "its claims can't be read" : fault(claims, rules);
  if (claims === undefined || why !== undefined) return { kind: "refused", why: why ?? "" };
  const named = claims.scopes;
  return {
    kind: "accepted",
    scopes:
      named === undefined || named.length === 0 ? workerScopes : workerScopes.filter((one) => named.includes(one)),
  };
};

interface RawClaims {
  readonly worker_id: string;
  readonly jti?: string;
  readonly aud?: string;
  readonly scopes?: readonly string[];
  readonly exp: number;
  readonly iat?: number;
  readonly nbf?: number;
}

const claimsOf = (payload: string): RawClaims | undefined => {
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, "base64url").toString("utf8"));
    return isClaims(claims) ? claims : undefined;
  } catch {
    return undefined; // signed by us, and no JSON: nothing that we ever made
  }
};

const isClaims = (value: unknown): value is RawClaims => {
  if (typeof value !== "object" || value === null) return false;
  const { worker_id: workerId, jti, aud, scopes, exp, iat, nbf } = value as Record<string, unknown>;
  const isTextOrAbsent = (one: unknown): boolean => one === undefined || typeof one === "string";
  const isTimeOrAbsent = (one: unknown): boolean => one === undefined || Number.isFinite(one);
  const isList = scopes === undefined || (Array.isArray(scopes) && scopes.every((one) => typeof one === "string"));
  return (
    typeof workerId === "string" &&
    Number.isFinite(exp) &&
    [jti, aud].every(isTextOrAbsent) &&
    [iat, nbf].every(isTimeOrAbsent) &&
    isList
  );
};

const fault = (claims: RawClaims, rules: WorkerTokenRules): string | undefined => {
  const now = rules.nowMs / 1000;
  if (claims.worker_id === "" || claims.worker_id !== rules.workerId) return "it is another worker's";
  if (claims.jti !== undefined && rules.revokedTokenIds.includes(claims.jti)) return "it was revoked";
  if (claims.aud !== undefined && claims.aud !== "" && claims.aud !== rules.audience)
    return "it is for another audience";
  if (now >= claims.exp) return "it has expired";
  if (claims.nbf !== undefined && now + leewaySeconds < claims.nbf) return "it doesn't count yet";
  if (claims.iat === undefined) return undefined;
  if (now + leewaySeconds < claims.iat) return "it was issued in the future";
  return (claims.exp - claims.iat) * 1000 > workerTokenTtlMaxMs ? "it lives longer than a token may" : undefined;
};
