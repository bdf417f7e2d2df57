import type { IncomingMessage } from "node:http";
import { StacyError } from "@stacyvm/contract";
import type { FastifyReply } from "fastify";
import type { CredentialAudit } from "../audit/credential-audit.ts";
import type { FailurePenalties } from "../auth/failure-penalties.ts";
import type { RateVerdict } from "../auth/rate-limiter.ts";
import type { Identity } from "./identity.ts";

export interface RateLimitOptions {
  /** Undefined: not limited by rate now. Failures cost nevertheless. Asked for each request. */
  readonly limiter: { take(caller: string): RateVerdict | Promise<RateVerdict> } | undefined;
  /** What makes a caller one; without a credential it is the address always. */
  readonly keyBy: "owner" | "api_key" | "ip";
  readonly penalties: FailurePenalties;
  readonly addressOf: (request: IncomingMessage) => string;
  /** Told of what comes in by a token, and of each credential that doesn't count. */
  readonly audit?: Pick<CredentialAudit, "bearer" | "refused">;
}

const refused = (reply: FastifyReply, retryAfterMs: number): StacyError => {
  const seconds = Math.ceil(retryAfterMs / 1000);
  reply.header("Retry-After", String(seconds));
  return new StacyError("rate_limited", `rate limit exceeded; retry after ${seconds}s`, {
    details: { retry_after_seconds: seconds },
  });
};

/** Who a request counts for. A header that anybody can write never makes a second caller of one without a credential. */
const callerOf = (identity: Identity, keyBy: RateLimitOptions["keyBy"], address: () => string): string => {
  if (identity.keyHeader === "" || keyBy === "ip") return `ip:${address()}`;
  const key = `key:${identity.keyId || identity.role}`;
  const credential = identity.keyHeader === "Authorization" ? `token:${identity.ownerHeader}` : key;
  return keyBy === "owner" ? `${credential} of ${identity.ownerHeader}` : credential;
};

const apply = ({ limit, remaining, retryAfterMs }: RateVerdict, reply: FastifyReply): void => {
  reply.header("X-RateLimit-Limit", String(limit)).header("X-RateLimit-Remaining", String(remaining));
  if (retryAfterMs > 0) throw refused(reply, retryAfterMs);
};

/** Counts requests by who sends them, and failures by where they come from. */
export const createRateLimit = (options: RateLimitOptions) => ({
  /** Throws rate_limited, with Retry-After set; by the promise where the database decides. */
  admit(identity: Identity, request: IncomingMessage, reply: FastifyReply): undefined | Promise<void> {
    const { limiter, keyBy, addressOf, audit } = options;
    if (audit !== undefined && identity.keyHeader === "Authorization" && identity.session === undefined) {
      const { ownerHeader: actor, scope } = identity;
      audit.bearer({ actor, tenantId: scope.tenantId ?? "", address: addressOf(request) });
    }
    if (limiter === undefined) return undefined;
    const verdict = limiter.take(callerOf(identity, keyBy, () => addressOf(request)));
    if (verdict instanceof Promise) return verdict.then((one) => apply(one, reply));
    apply(verdict, reply);
    return undefined;
  },

  /** The error for a credential that doesn't count: the one that says so, or, after many of them, rate_limited. */
  failed(error: unknown, request: IncomingMessage, reply: FastifyReply): unknown {
    if (!(error instanceof StacyError) || error.reason !== "unauthenticated") return error;
    const address = options.addressOf(request);
    options.audit?.refused(address, error.message);
    const waitMs = options.penalties.note(address);
    return waitMs === 0 ? error : refused(reply, waitMs);
  },
});

export type RateLimit = ReturnType<typeof createRateLimit>;
