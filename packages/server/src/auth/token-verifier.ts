import { createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import { StacyError } from "@stacyvm/contract";
import { errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from "jose";
import type { Clock } from "../lib/clock.ts";
import { type ClaimRules, identityOf, type TokenIdentity } from "./claims.ts";
import { createIssuerKeys } from "./issuer-keys.ts";

/** Algorithms whose signatures only the issuer can make. */
export const signatureAlgorithms = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
] as const;

export interface TokenVerifierOptions {
  /** Empty: any issuer whose key verifies. */
  readonly issuer: string;
  /** Empty: any audience. */
  readonly audience: string;
  readonly jwksUrl: string;
  /** PEM of a public key or a certificate; where it is set no keys are asked for. */
  readonly publicKey: string;
  readonly keysKeptMs: number;
  readonly claims: ClaimRules;
  readonly fetch: typeof fetch;
  readonly clock: Clock;
  readonly onFailure?: (error: unknown) => void;
}

/** Whom a token names, and until when. */
export interface VerifiedToken extends TokenIdentity {
  /** The token's end, epoch milliseconds. */
  readonly expiresAtMs: number;
}

export interface TokenVerifier {
  /** Throws unauthenticated with the reason, or issuer_unavailable. */
  verify(token: string): Promise<VerifiedToken>;
}

/** Clocks may differ by this where a token says from when on it counts; its end is its end. */
const leewaySeconds = 30;
/** Longest token, characters. */
const tokenMax = 16_384;

const refused = (reason: string, cause?: unknown): StacyError =>
  new StacyError("unauthenticated", `invalid or expired JWT: ${reason}`, cause === undefined ? {} : { cause });

/** Throws an Error that says what is wrong with the PEM. */
export const readPublicKey = (pem: string): KeyObject => {
  try {
    if (pem.includes("BEGIN CERTIFICATE")) return new X509Certificate(pem).publicKey;
    if (!pem.includes("BEGIN PUBLIC KEY")) throw new Error("no public key or certificate");
    return createPublicKey(pem);
  } catch (cause) {
    throw new Error("auth.oidc_public_key is not the PEM of a public key or a certificate", { cause });
  }
};

/** Checks an issuer's tokens. Throws at once where the configured key can't be read. */
export const createTokenVerifier = (options: TokenVerifierOptions): TokenVerifier => {
  const { clock, issuer, audience } = options;
  const find: JWTVerifyGetKey =
    options.publicKey === ""
      ? createIssuerKeys({ ...options, keptMs: options.keysKeptMs }).find
      : fixedKey(readPublicKey(options.publicKey));

  return {
    async verify(token) {
      if (token.length > tokenMax) throw refused(`a token may have ${tokenMax} characters`);
      const nowMs = clock.now();
      let claims: JWTPayload;
      try {
        const verified = await jwtVerify(token, find, {
          algorithms: [...signatureAlgorithms],
          clockTolerance: leewaySeconds,
          currentDate: new Date(nowMs),
          ...(issuer === "" ? {} : { issuer }),
          ...(audience === "" ? {} : { audience }),
        });
        claims = verified.payload;
      } catch (error) {
        if (error instanceof StacyError) throw error;
        throw refused(reasonOf(error), error);
      }
      const { sub, exp, iat } = claims;
      if (exp === undefined) throw refused("JWT has no exp");
      if (exp * 1000 <= nowMs) throw refused("JWT is expired");
      if (iat !== undefined && iat > nowMs / 1000 + leewaySeconds) throw refused("JWT was issued in the future");
      if (sub === undefined || sub.trim() === "") throw refused("JWT names no subject");
      return { ...identityOf({ ...claims, sub }, options.claims), expiresAtMs: exp * 1000 };
    },
  };
};

const fixedKey =
  (key: KeyObject): JWTVerifyGetKey =>
  async () =>
    key;

const reasonOf = (error: unknown): string => {
  if (error instanceof errors.JWTExpired) return "JWT is expired";
  if (error instanceof errors.JWTClaimValidationFailed) return claimReason(error);
  if (error instanceof errors.JWSSignatureVerificationFailed) return "JWT signature verification failed";
  if (error instanceof errors.JWKSNoMatchingKey) return "the issuer has no such key";
  if (error instanceof errors.JWKSMultipleMatchingKeys) return "JWT names no key, and the issuer has several";
  if (error instanceof errors.JOSEAlgNotAllowed) {
    return `unsupported JWT algorithm; supported: ${signatureAlgorithms.join(", ")}`;
  }
  return "malformed JWT";
};

const claimReason = ({ claim, reason }: errors.JWTClaimValidationFailed): string => {
  if (reason === "missing") return `JWT has no ${claim}`;
  return `JWT claim ${claim} is not acceptable here`;
};
