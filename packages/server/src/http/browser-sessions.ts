import type { IncomingHttpHeaders } from "node:http";
import { StacyError } from "@stacyvm/contract";
import type { Sessions } from "../auth/sessions.ts";
import { isForeignFetch } from "./hosts.ts";
import type { Authenticator, Identity } from "./identity.ts";
import { cookieOf, type SessionSite } from "./session-site.ts";

export interface BrowserSessionsOptions {
  readonly sessions: Pick<Sessions, "identify">;
  /** Undefined: none here. */
  readonly site: () => SessionSite | undefined;
}

const credentialHeaders = ["authorization", "x-api-key", "x-admin-api-key", "x-worker-token"] as const;

const safeMethods: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

/** The cookie's value where it counts: at the session's own address, by the browser's own word, beside nothing explicit. */
const sessionIdOf = (headers: IncomingHttpHeaders, site: SessionSite): string | undefined => {
  if (headers.host?.toLowerCase() !== site.authority) return undefined;
  if (isForeignFetch(headers["sec-fetch-site"])) return undefined;
  if (credentialHeaders.some((name) => headers[name] !== undefined)) return undefined;
  return cookieOf(headers, site.sessionCookie);
};

/** Lets in by cookie too. An explicit credential counts alone, also where it is wrong. */
export const withBrowserSessions = (
  authenticator: Authenticator,
  { sessions, site }: BrowserSessionsOptions,
): Authenticator => {
  const byCookie = async (id: string, headers: IncomingHttpHeaders): Promise<Identity> => {
    const { role, keyHeader, keyId, tenantId, projectId, member, ...session } = await sessions.identify(id);
    const credential = keyHeader === "Authorization" ? "token" : "key";
    const { ownerId: ownerHeader, expiresAtMs: endsAtMs, digest } = session;
    const rest = { keyHeader, keyId, ownerHeader, endsAtMs, session: digest };
    return await authenticator.standing({ role, tenantId, projectId, member, credential }, rest, headers);
  };
  return {
    ...authenticator,
    identify(headers) {
      if (headers.cookie === undefined || !authenticator.configured) return authenticator.identify(headers);
      const here = site();
      const id = here === undefined ? undefined : sessionIdOf(headers, here);
      return id === undefined ? authenticator.identify(headers) : byCookie(id, headers);
    },
    admin(headers, identity) {
      if (identity.session === undefined) return authenticator.admin(headers, identity);
      return identity.role === "admin" ? "granted" : "scope";
    },
  };
};

/** What a cookie lets in has to come from the server's own pages where it changes anything. Throws foreign_origin. */
export const checkSessionOrigin = (
  identity: Identity,
  { method, headers }: { readonly method: string; readonly headers: IncomingHttpHeaders },
  site: SessionSite | undefined,
): void => {
  if (identity.session === undefined) return;
  if (safeMethods.has(method) && headers.upgrade === undefined) return;
  if (site !== undefined && headers.origin === site.origin) return;
  throw new StacyError("foreign_origin", "a browser's session counts for pages of the server's own origin alone", {
    remediation: `Send it from a page of ${site?.origin ?? "server.public_url"}, or with a key.`,
  });
};
