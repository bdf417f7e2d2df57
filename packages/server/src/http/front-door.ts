import { type Permission, StacyError } from "@stacyvm/contract";
import type { FastifyReply, FastifyRequest } from "fastify";
import { mayPerform } from "../auth/roles.ts";
import { headersMax } from "./bounds.ts";
import { checkSessionOrigin } from "./browser-sessions.ts";
import type { Cors } from "./cors.ts";
import { type HostRules, isForeignFetch, isForeignOrigin, isKnownHost } from "./hosts.ts";
import { type Authenticator, type Identity, stranger } from "./identity.ts";
import type { RateLimit } from "./rate-limit.ts";
import type { SessionSite } from "./session-site.ts";

export interface FrontDoorOptions {
  readonly authenticator: Authenticator;
  readonly hosts: HostRules;
  readonly cors: Cors;
  readonly rates: RateLimit;
  /** Where browsers' sessions live; absent: nowhere. */
  readonly sessionSite?: () => SessionSite | undefined;
}

export interface Visit {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  /** Of the row that the path leads to; undefined where no route is. */
  readonly permission: Permission | undefined;
}

const sendsKey = (headers: FastifyRequest["headers"]): boolean =>
  Boolean(headers["x-api-key"]) || Boolean(headers["x-admin-api-key"]);

const isUnder = (path: string, prefix: string): boolean =>
  path === prefix || path.startsWith(`${prefix}/`) || path.startsWith(`${prefix}?`);

const checkHeaders = (request: FastifyRequest): void => {
  const { rawHeaders } = request.raw;
  if (rawHeaders.length > headersMax * 2) {
    throw new StacyError("headers_too_large", `a request may have ${headersMax} headers`);
  }
  let hosts = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) if (rawHeaders[at]?.toLowerCase() === "host") hosts += 1;
  if (hosts > 1) throw new StacyError("misdirected_host", "the request names more than one host");
};

/**
 * Decides whether a request comes in, in this order: headers, Host, CORS and preflight, Origin, credential, rate, admin
 * area, permission. Throws a catalogued error, or answers a preflight and returns undefined.
 */
export const createFrontDoor = ({ authenticator, hosts, cors, rates, sessionSite }: FrontDoorOptions) => {
  const checkAddress = (request: FastifyRequest): void => {
    checkHeaders(request);
    if (!request.raw.url?.startsWith("/") || !isKnownHost(request.headers.host, request.raw.socket.localPort, hosts)) {
      throw new StacyError("misdirected_host", "this server doesn't answer for the host that the request names");
    }
  };

  const checkOrigin = (request: FastifyRequest): void => {
    const { headers } = request;
    const foreign =
      isForeignOrigin(headers.origin, headers.host, hosts) ||
      (!authenticator.configured && isForeignFetch(headers["sec-fetch-site"]));
    if (foreign && (!authenticator.configured || headers.upgrade !== undefined)) {
      throw new StacyError("foreign_origin", "a page of another origin may not use this server");
    }
  };

  /** Who may enter the admin area, as the only key there is may, may do elsewhere what administrators do. */
  const checkRole = (identity: Identity, permission: Permission | undefined, request: FastifyRequest): Identity => {
    if (!authenticator.configured || permission === undefined) return identity;
    if (mayPerform(identity.role, permission, identity.ofTenant)) return identity;
    if (identity.role !== "anonymous" && authenticator.admin(request.headers, identity) === "granted") {
      return { ...identity, role: "admin" };
    }
    throw new StacyError("permission_denied", "required authorization scope missing");
  };

  const checkAdminArea = (request: FastifyRequest, identity: Identity): Identity => {
    const verdict = authenticator.admin(request.headers, identity);
    if (verdict === "key") throw new StacyError("admin_key_required", "admin API key required");
    if (verdict === "scope") throw new StacyError("permission_denied", "required authorization scope missing");
    return authenticator.configured ? { ...identity, role: "admin" } : identity;
  };

  const checkIdentity = (identity: Identity, { request, reply, permission }: Visit): Identity => {
    if (permission === "public" || permission === "signature") return identity;
    if (authenticator.takesKeys && identity.role === "anonymous" && identity.keyHeader === "") {
      const error = new StacyError("unauthenticated", "invalid or missing API key");
      throw sendsKey(request.headers) ? rates.failed(error, request.raw, reply) : error;
    }
    if (isUnder(request.raw.url ?? "", "/api/v1/admin")) return checkAdminArea(request, identity);
    return checkRole(identity, permission, request);
  };

  const admit = (identity: Identity, visit: Visit, isApi: boolean): Identity | Promise<Identity> => {
    if (!isApi) return identity;
    checkSessionOrigin(identity, visit.request, sessionSite?.());
    const rated = rates.admit(identity, visit.request.raw, visit.reply);
    return rated === undefined ? checkIdentity(identity, visit) : rated.then(() => checkIdentity(identity, visit));
  };

  return {
    /** Answers at once where a key decides, and later where a token, or the database for the rate, does. */
    enter(visit: Visit): Identity | undefined | Promise<Identity> {
      const { request, reply, permission } = visit;
      checkAddress(request);
      const isApi = isUnder(request.raw.url ?? "", "/api/v1");
      const originAllowed = !isApi || cors.apply(request, reply);
      checkOrigin(request);
      if (isApi && request.method === "OPTIONS") {
        reply.code(originAllowed ? 200 : 403);
        if (originAllowed) reply.send();
        else reply.type("text/plain; charset=utf-8").send("CORS origin is not allowed\n");
        return undefined;
      }
      const identity = authenticator.identify(request.headers);
      if (!(identity instanceof Promise)) return admit(identity, visit, isApi);
      const isOpen = permission === "public" || permission === "signature";
      const known = identity.catch((error: unknown) => {
        if (isOpen) return stranger;
        throw rates.failed(error, request.raw, reply);
      });
      return known.then((one) => admit(one, visit, isApi));
    },
  };
};
