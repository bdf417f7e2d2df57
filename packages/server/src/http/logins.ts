import type { FastifyBaseLogger } from "fastify";
import { actorName } from "../audit/actor.ts";
import type { CredentialAudit } from "../audit/credential-audit.ts";
import { createIssuerLogin, type IssuerLogin } from "../auth/issuer-login.ts";
import { type ConfiguredKey, Sessions } from "../auth/sessions.ts";
import { createTokenVerifier, type TokenVerifier } from "../auth/token-verifier.ts";
import type { Config } from "../config/schema.ts";
import { systemClock } from "../lib/clock.ts";
import { every } from "../lib/every.ts";
import { randomIds } from "../lib/id.ts";
import type { Store } from "../store/store.ts";
import type { ProgramLogin, SessionHandlersOptions } from "./handlers/session.ts";
import { sessionName } from "./handlers/session.ts";
import { whyNotReached } from "./public-url.ts";
import { type SessionSite, sessionSiteOf } from "./session-site.ts";

export interface LoginsOptions {
  readonly config: Config;
  readonly store: Pick<Store, "id" | "sessions">;
  readonly log: FastifyBaseLogger;
  /** To the issuer. */
  readonly fetch: typeof fetch;
  /** The listener's; known once it listens. */
  readonly port: () => number;
  /** Told where a session was just ended. */
  readonly onEnded: () => void;
  readonly audit: CredentialAudit;
}

/** How people come in by browsers and programs. */
export interface Logins
  extends Pick<SessionHandlersOptions, "sessions" | "sessionSite" | "issuerLogin" | "programLogin">,
    AsyncDisposable {
  /** Asks the server by its public address, where one is configured, and logs what answers instead. To be called once it listens. */
  checkPublicUrl(): void;
}

/** How often ended sessions' rows are looked for, milliseconds. */
const sessionPurgeMs = 600_000;

export const createLogins = (options: LoginsOptions): Logins => {
  const { config, store, log } = options;
  const { auth, server } = config;
  const stack = new AsyncDisposableStack();
  const sessions = new Sessions({
    store: store.sessions,
    clock: systemClock,
    ids: randomIds,
    configuredKeys: configuredKeys(config),
    idleMs: auth.sessionIdleTimeoutMs,
    absoluteMs: auth.sessionAbsoluteTimeoutMs,
    perPerson: auth.sessionsPerPerson,
    onFailure: (error) => log.warn({ err: error }, "the use of a session could not be noted"),
    onEnded: options.onEnded,
    onGone: (session, why) =>
      options.audit.note({
        action: `session.${why}`,
        actor: actorName(session),
        tenantId: session.tenantId,
        resource: sessionName(session.digest),
      }),
  });
  stack.use(
    every({
      intervalMs: sessionPurgeMs,
      work: () => sessions.purge(),
      onFailure: (error) => log.error({ err: error }, "ended sessions' rows could not be deleted"),
    }),
  );
  return {
    sessions,
    sessionSite: (): SessionSite | undefined =>
      sessionSiteOf(server.publicUrl, server.host, options.port(), server.tls.certFile === "" ? "http" : "https"),
    issuerLogin: issuerLogin(options),
    programLogin: programLogin(config),

    checkPublicUrl() {
      const { publicUrl } = server;
      if (publicUrl === "") return;
      const asking = new AbortController();
      // Beside the start: a proxy in front may wait for this very server to answer before it lets anybody through.
      const asked = whyNotReached(publicUrl, store.id, asking.signal).then((why) => {
        if (why === undefined || asking.signal.aborted) return;
        const hint = "Correct server.public_url, or the proxy that it names. Browsers can't log in otherwise.";
        log.error({ public_url: publicUrl, why, hint }, "server.public_url does not lead to this server");
      });
      stack.defer(async () => {
        asking.abort();
        await asked;
      });
    },

    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
};

/** The admin area's rule: the API key opens it while there is no other. */
const configuredKeys = ({ auth }: Config): readonly ConfiguredKey[] => {
  const { apiKey, adminApiKey, adminFallbackEnabled } = auth;
  const isAdmin = adminApiKey === undefined && adminFallbackEnabled;
  return [
    ...(apiKey === undefined ? [] : [{ key: apiKey, role: isAdmin ? "admin" : "api" } as const]),
    ...(adminApiKey === undefined ? [] : [{ key: adminApiKey, role: "admin" } as const]),
  ];
};

const issuerLogin = ({ config, store, log, fetch }: LoginsOptions): IssuerLogin | undefined => {
  const { auth } = config;
  if (auth.oidcClientId === "") return undefined;
  return createIssuerLogin({
    issuer: auth.oidcIssuer,
    clientId: auth.oidcClientId,
    clientSecret: auth.oidcClientSecret,
    scopes: auth.oidcScopes,
    parameters: auth.oidcLoginParameters,
    idTokens: tokenVerifier({ config, log, fetch }, auth.oidcClientId),
    fetch,
    store: store.sessions,
    clock: systemClock,
    ids: randomIds,
  });
};

const programLogin = ({ auth }: Config): ProgramLogin | undefined => {
  if (auth.oidcCliClientId === "") return undefined;
  const { oidcIssuer: issuer, oidcCliClientId: clientId, oidcScopes: scopes, oidcLoginParameters: parameters } = auth;
  return { issuer, clientId, scopes, parameters };
};

/** Checks tokens of the configured issuer, for the API or for one of its clients. */
export const tokenVerifier = (
  { config: { auth }, log, fetch }: Pick<LoginsOptions, "config" | "log" | "fetch">,
  audience = auth.oidcAudience,
): TokenVerifier =>
  createTokenVerifier({
    fetch,
    issuer: auth.oidcIssuer,
    audience,
    jwksUrl: auth.oidcJwksUrl,
    publicKey: auth.oidcPublicKey,
    keysKeptMs: auth.oidcKeysKeptMs,
    claims: {
      groupsClaim: auth.oidcGroupsClaim,
      tenantClaim: auth.oidcTenantClaim,
      adminGroups: auth.oidcAdminGroups,
      tenantAdminGroups: auth.oidcTenantAdminGroups,
      operatorGroups: auth.oidcOperatorGroups,
      viewerGroups: auth.oidcViewerGroups,
      defaultRole: auth.oidcDefaultRole,
    },
    clock: systemClock,
    onFailure: (error) => log.error({ err: error }, "the issuer's keys could not be had"),
  });
