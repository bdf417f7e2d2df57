import type { FastifyBaseLogger } from "fastify";
import { CredentialAudit, refusedToldEveryMs } from "../audit/credential-audit.ts";
import { ApiKeys } from "../auth/api-keys.ts";
import { FailurePenalties } from "../auth/failure-penalties.ts";
import { shareFailures } from "../auth/shared-failures.ts";
import { Tenancy } from "../auth/tenancy.ts";
import { takesTokens } from "../config/cross-checks.ts";
import type { Config } from "../config/schema.ts";
import { systemClock } from "../lib/clock.ts";
import { every } from "../lib/every.ts";
import { randomIds } from "../lib/id.ts";
import { parseNetworks } from "../lib/networks.ts";
import type { OperationAudit, Store } from "../store/store.ts";
import { withBrowserSessions } from "./browser-sessions.ts";
import { createClientAddress } from "./client-address.ts";
import { createCredentialWatch } from "./credential-watch.ts";
import { type Authenticator, createAuthenticator } from "./identity.ts";
import { createInFlight, type InFlight } from "./in-flight.ts";
import { createLogins, type Logins, tokenVerifier } from "./logins.ts";

export interface AccessOptions {
  readonly config: Config;
  readonly store: Store;
  readonly log: FastifyBaseLogger;
  readonly audit: (row: OperationAudit) => void;
  /** To the issuer. */
  readonly fetch: typeof fetch;
  /** The listener's; known once it listens. */
  readonly port: () => number;
}

/** Everything that decides who comes in, and how long what they opened goes on. */
export interface Access extends AsyncDisposable {
  readonly apiKeys: ApiKeys;
  readonly logins: Logins;
  readonly tenancy: Tenancy;
  readonly authenticator: Authenticator;
  readonly inFlight: InFlight;
  readonly credentialAudit: CredentialAudit;
  readonly addressOf: ReturnType<typeof createClientAddress>;
  readonly penalties: FailurePenalties;
}

export const createAccess = ({ config, store, log, audit, fetch, port }: AccessOptions): Access => {
  const stack = new AsyncDisposableStack();
  const clock = systemClock;
  const credentialAudit = new CredentialAudit({ add: audit, clock });
  stack.defer(() => credentialAudit.tellRefused());
  stack.use(
    every({
      intervalMs: refusedToldEveryMs,
      work: async () => credentialAudit.tellRefused(),
      onFailure: (error) => log.error({ err: error }, "refused logins could not be noted"),
    }),
  );

  const penalties = new FailurePenalties(clock);
  if (store.failureCounts !== undefined) {
    const onFailure = (error: unknown): void =>
      log.warn({ err: error }, "the database doesn't count failures, this server counts its own");
    stack.use(shareFailures({ penalties, counts: store.failureCounts, onFailure }));
  }

  let changed = (): void => {}; // Until what is open is watched.
  const logins = stack.use(
    createLogins({ ...{ config, store, log, fetch, port, audit: credentialAudit }, onEnded: () => changed() }),
  );
  const apiKeys = new ApiKeys({
    ...{ store: store.apiKeys, clock, ids: randomIds },
    onFailure: (error) => log.warn({ err: error }, "the use of a key could not be noted"),
    onRevoked: () => {
      logins.sessions.forget();
      changed();
    },
  });
  const tenancy = new Tenancy({ store: store.tenants, clock, onChanged: () => changed() });
  const inFlight = createInFlight();
  const watch = createCredentialWatch({
    ...{ inFlight, keys: apiKeys, sessions: logins.sessions, tenancy, clock },
    onFailure: (error) => log.warn({ err: error }, "credentials of open requests could not be looked at"),
    onEnded: ({ message }, { keyHeader, keyId }) =>
      log.info({ why: message, credential: keyId || keyHeader }, "a request ended with its credential"),
  });
  changed = stack.use(watch.start()).soon;

  const byCredential = createAuthenticator({
    named: apiKeys,
    tenancy,
    apiKey: config.auth.apiKey?.reveal() ?? "",
    adminKey: config.auth.adminApiKey?.reveal() ?? "",
    adminFallback: config.auth.adminFallbackEnabled,
    ...(takesTokens(config) ? { tokens: tokenVerifier({ config, log, fetch }) } : {}),
  });
  return {
    ...{ apiKeys, logins, tenancy, inFlight, credentialAudit, penalties },
    authenticator: withBrowserSessions(byCredential, { sessions: logins.sessions, site: logins.sessionSite }),
    addressOf: createClientAddress(parseNetworks(config.server.trustedProxies)),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
};
