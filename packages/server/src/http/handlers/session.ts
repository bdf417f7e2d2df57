import { createHmac } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { type Caller, StacyError, type sessionOperations } from "@stacyvm/contract";
import { actorName } from "../../audit/actor.ts";
import type { CredentialAudit } from "../../audit/credential-audit.ts";
import { type IssuerLogin, loginLifeMs } from "../../auth/issuer-login.ts";
import type { CreatedSession, SessionHolder, Sessions } from "../../auth/sessions.ts";
import type { Tenancy } from "../../auth/tenancy.ts";
import type { VerifiedToken } from "../../auth/token-verifier.ts";
import type { Clock } from "../../lib/clock.ts";
import type { HandlersOf } from "../handler.ts";
import type { Identity } from "../identity.ts";
import { cookieOf, dropCookie, type SessionSite, setCookie } from "../session-site.ts";
import { callerOf } from "./caller.ts";
import { rfc3339 } from "./wire-time.ts";

/** How programs on users' machines ask the issuer for tokens. */
export interface ProgramLogin {
  readonly issuer: string;
  readonly clientId: string;
  readonly scopes: readonly string[];
  readonly parameters: Readonly<Record<string, string>>;
}

export interface SessionHandlersOptions {
  readonly authConfigured: boolean;
  readonly sessions: Sessions;
  readonly sessionSite: () => SessionSite | undefined;
  /** Undefined: browsers can't log in with the issuer. */
  readonly issuerLogin: IssuerLogin | undefined;
  readonly programLogin: ProgramLogin | undefined;
  /** Of the database: every server that uses it proves by it that it is this one. */
  readonly storeId: string;
  readonly tenancy: Pick<Tenancy, "stand">;
  readonly clock: Clock;
  readonly credentialAudit: CredentialAudit;
  readonly addressOf: (request: IncomingMessage) => string;
}

const loginPath = "/api/v1/session/authorize";
const callbackPath = "/api/v1/session/callback";
const challengeFormat = /^[0-9a-f]{32,64}$/;

/** What the audit calls a session: its digest's beginning, which opens nothing. */
export const sessionName = (digest: string): string => `session ${digest.slice(0, 12)}`;

/** What proves to whoever knows the database's id that this server uses it. */
export const proofOfServer = (storeId: string, challenge: string): string =>
  createHmac("sha256", storeId).update(`public-url:${challenge}`).digest("hex");

const callerToWire = (identity: Identity): Caller => ({
  role: identity.role,
  by: identity.session !== undefined ? "session" : identity.keyHeader === "Authorization" ? "token" : "key",
  ...(identity.ownerHeader === "" ? {} : { owner_id: identity.ownerHeader }),
  ...(identity.scope.tenantId ? { tenant_id: identity.scope.tenantId } : {}),
  ...(identity.endsAtMs === undefined ? {} : { expires_at: rfc3339(identity.endsAtMs) }),
});

/** A path of this server and of no other, however a browser reads it. */
const localPath = (text: string, { origin }: SessionSite): string => {
  const refused = new StacyError("invalid_input", "invalid input: return_to must be a path of this server");
  if (!/^\/(?![/\\])[\x21-\x7e]*$/.test(text) || text.includes("\\")) throw refused;
  const url = URL.parse(text, origin);
  if (url === null || url.origin !== origin) throw refused;
  return url.pathname + url.search + url.hash;
};

export const sessionHandlers = (options: SessionHandlersOptions): HandlersOf<typeof sessionOperations> => {
  const { sessions, issuerLogin, clock } = options;

  const siteOrRefuse = (): SessionSite => {
    if (!options.authConfigured) {
      throw new StacyError("credentials_not_configured", "conflict: this server asks nobody for a credential");
    }
    const site = options.sessionSite();
    if (site === undefined)
      throw new StacyError("login_not_offered", "no address is known at which browsers may log in");
    return site;
  };

  const loginOrRefuse = (): IssuerLogin => {
    if (issuerLogin === undefined) {
      throw new StacyError("login_not_offered", "this server has no client at an issuer", {
        remediation: "Set auth.oidc_issuer and auth.oidc_client_id, or log in with a key.",
      });
    }
    return issuerLogin;
  };

  /** By the token's groups, or as a member of something. */
  const hasRole = async ({ role, tenantId, member }: VerifiedToken): Promise<boolean> => {
    const holder = { role, tenantId, projectId: "", member, credential: "token" } as const;
    try {
      return (await options.tenancy.stand(holder, { tenantId: "", projectId: "" })).role !== "anonymous";
    } catch (error) {
      if (error instanceof StacyError && error.reason === "tenant_ambiguous") return true;
      throw error;
    }
  };

  const noteBegun = ({ session, replaced }: CreatedSession, raw: IncomingMessage): void => {
    const { keyId, keyHeader, tenantId } = session;
    const by = keyHeader === "Authorization" ? "by=issuer" : `by=${keyId || keyHeader}`;
    const rest = { actor: actorName(session), tenantId, address: options.addressOf(raw) };
    const resource = sessionName(session.digest);
    options.credentialAudit.note({ action: "session.create", ...rest, resource, detail: by });
    if (replaced === undefined) return;
    const old = { resource: sessionName(replaced), detail: `now=${resource}` };
    options.credentialAudit.note({ action: "session.replace", ...rest, ...old });
  };

  /** The issuer's word, or the lack of a role, keeps somebody out. */
  const comeBack = async (login: IssuerLogin, transaction: string, callback: URL, raw: IncomingMessage) => {
    try {
      const back = await login.complete(transaction, callback);
      if (await hasRole(back.token)) return back;
      throw new StacyError("permission_denied", "the issuer knows you, and nothing gives you a role here", {
        remediation: "Ask the operator for a group that auth.oidc_*_groups names, or for a membership of a tenant.",
      });
    } catch (error) {
      if (error instanceof StacyError && (error.reason === "login_failed" || error.reason === "permission_denied")) {
        options.credentialAudit.refused(options.addressOf(raw), `login with the issuer: ${error.message}`);
      }
      throw error;
    }
  };

  const sessionCookie = (site: SessionSite, id: string, expiresAtMs: number): string =>
    setCookie(site.sessionCookie, id, { sameSite: "Strict", lifeMs: expiresAtMs - clock.now() });

  return {
    "session.read": async ({ identity, headers }) => {
      const { authConfigured, programLogin } = options;
      const site = authConfigured ? options.sessionSite() : undefined;
      const challenge = headers["x-stacyvm-challenge"];
      const known = identity.keyHeader !== "";
      return {
        status: 200,
        headers:
          typeof challenge === "string" && challengeFormat.test(challenge)
            ? { "X-StacyVM-Proof": proofOfServer(options.storeId, challenge) }
            : {},
        body: {
          credential_needed: authConfigured,
          key_login: site !== undefined,
          ...(site === undefined || issuerLogin === undefined ? {} : { issuer_login_url: site.base + loginPath }),
          ...(programLogin === undefined
            ? {}
            : {
                program_login: {
                  issuer: programLogin.issuer,
                  client_id: programLogin.clientId,
                  scopes: [...programLogin.scopes],
                  parameters: { ...programLogin.parameters },
                },
              }),
          ...(known ? { caller: callerToWire(identity) } : {}),
        },
      };
    },

    "session.create": async ({ identity, headers, raw }) => {
      const site = siteOrRefuse();
      if (headers.origin !== site.origin || headers.host?.toLowerCase() !== site.authority) {
        throw new StacyError("foreign_origin", `a browser logs in from a page of ${site.origin} alone`, {
          remediation: `Open ${site.base} in the browser.`,
        });
      }
      if (identity.session !== undefined) {
        throw new StacyError(
          "invalid_input",
          "invalid input: a session begins with a key or a token, not with a session",
        );
      }
      const { keyHeader, keyId, ownerHeader: ownerId } = identity;
      if (keyHeader === "" || identity.holder === undefined) {
        throw new StacyError("unauthenticated", "invalid or missing API key");
      }
      const { role, tenantId, projectId, member } = identity.holder;
      const holder: SessionHolder = { role, keyHeader, keyId, tenantId, projectId, member, ownerId };
      const sentKeys = [headers["x-admin-api-key"], headers["x-api-key"]].filter((key) => typeof key === "string");
      const replaces = cookieOf(headers, site.sessionCookie);
      const credentialEndsAtMs = identity.endsAtMs ?? 0;
      const created = await sessions.create({ holder, credentialEndsAtMs, sentKeys, replaces });
      noteBegun(created, raw);
      const { id, session } = created;
      const { expiresAtMs } = session;
      return {
        status: 201,
        headers: { "Set-Cookie": sessionCookie(site, id.reveal(), expiresAtMs) },
        body: callerToWire({ ...identity, role: session.role, endsAtMs: expiresAtMs, session: session.digest }),
      };
    },

    "session.end": async ({ identity, raw }) => {
      const site = options.sessionSite();
      if (identity.session === undefined || site === undefined) {
        throw new StacyError("session_not_found", "not found: the request came by no session");
      }
      await sessions.end(identity.session);
      options.credentialAudit.note({
        action: "session.end",
        actor: callerOf(identity).actor,
        tenantId: identity.scope.tenantId ?? "",
        resource: sessionName(identity.session),
        address: options.addressOf(raw),
      });
      return { status: 204, headers: { "Set-Cookie": dropCookie(site.sessionCookie) } };
    },

    "session.authorize": async ({ query, headers }) => {
      const site = siteOrRefuse();
      const login = loginOrRefuse();
      const returnTo = localPath(query.return_to ?? "/", site);
      if (headers.host?.toLowerCase() !== site.authority) {
        const Location = `${site.base}${loginPath}?return_to=${encodeURIComponent(returnTo)}`;
        return { status: 302, headers: { Location } };
      }
      const { transaction, authorizeUrl } = await login.begin(site.base + callbackPath, returnTo);
      const cookie = setCookie(site.transactionCookie, transaction, { sameSite: "Lax", lifeMs: loginLifeMs });
      return { status: 302, headers: { Location: authorizeUrl, "Set-Cookie": cookie } };
    },

    "session.callback": async ({ headers, raw }) => {
      const site = siteOrRefuse();
      const login = loginOrRefuse();
      const query = (raw.url ?? "").split("?").slice(1).join("?");
      const transaction = cookieOf(headers, site.transactionCookie) ?? "";
      const callback = new URL(`${site.base}${callbackPath}?${query}`);
      const { token, returnTo } = await comeBack(login, transaction, callback, raw);
      const { role, tenantId, ownerId, member, expiresAtMs: credentialEndsAtMs } = token;
      const replaces = cookieOf(headers, site.sessionCookie);
      const created = await sessions.create({
        holder: { role, keyHeader: "Authorization", keyId: "", tenantId, projectId: "", member, ownerId },
        ...{ credentialEndsAtMs, sentKeys: [], replaces },
      });
      noteBegun(created, raw);
      const { id, session } = created;
      const cookies = [dropCookie(site.transactionCookie), sessionCookie(site, id.reveal(), session.expiresAtMs)];
      return { status: 302, headers: { Location: site.origin + returnTo, "Set-Cookie": cookies } };
    },
  };
};
