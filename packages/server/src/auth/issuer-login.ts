import { createHash } from "node:crypto";
import { StacyError } from "@stacyvm/contract";
import * as oidc from "openid-client";
import type { Clock } from "../lib/clock.ts";
import type { Ids } from "../lib/id.ts";
import { isLoopback } from "../lib/networks.ts";
import type { Secret } from "../lib/secret.ts";
import type { SessionStore } from "../store/session-store.ts";
import type { TokenVerifier, VerifiedToken } from "./token-verifier.ts";

export interface IssuerLoginOptions {
  readonly issuer: string;
  readonly clientId: string;
  /** Undefined: a client without one, which PKCE alone protects. */
  readonly clientSecret: Secret | undefined;
  readonly scopes: readonly string[];
  /** Further parameters of the authorization request. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Checks ID tokens: their audience is the client. */
  readonly idTokens: TokenVerifier;
  readonly fetch: typeof fetch;
  readonly store: Pick<SessionStore, "spendLogin">;
  readonly clock: Clock;
  readonly ids: Pick<Ids, "session">;
}

export interface BegunLogin {
  /** What the browser keeps until it is back. */
  readonly transaction: string;
  readonly authorizeUrl: string;
}

export interface IssuerLogin {
  /** Throws issuer_unavailable. */
  begin(redirectUri: string, returnTo: string): Promise<BegunLogin>;
  /** Throws login_failed or issuer_unavailable. */
  complete(transaction: string, callback: URL): Promise<{ readonly token: VerifiedToken; readonly returnTo: string }>;
}

/** How long a login may take at the issuer, milliseconds. */
export const loginLifeMs = 600_000;
/** How long what the issuer's discovery document said counts, milliseconds. */
const discoveredForMs = 3_600_000;
/** After a discovery that failed the issuer isn't asked again for so long, milliseconds. */
const askAgainMs = 5_000;
/** Most logins that wait for the issuer at once: anybody can send what looks like the end of one. */
const exchangesMax = 32;
/** Another server, on which a login began, may be ahead by this, milliseconds. */
const clocksDifferMs = 30_000;
/** Time that one answer of the issuer may take, seconds. */
const loginAnswerTimeoutSeconds = 10;

const failed = (why: string, cause?: unknown): StacyError =>
  new StacyError("login_failed", why, cause === undefined ? {} : { cause });

const unavailable = (cause: unknown): StacyError =>
  new StacyError("issuer_unavailable", "the issuer can't be asked, so nobody can log in with it", { cause });

/**
 * State, nonce and PKCE's verifier follow from the transaction, which only the browser has: nothing is kept here for a
 * login that somebody began, and what one browser began no other can end.
 */
const derived = (transaction: string, what: "state" | "nonce" | "verifier"): string =>
  createHash("sha256").update(`${what}:${transaction}`).digest("base64url");

const transactionFormat = /^([0-9a-z]{1,11})\.[A-Za-z0-9_-]{43}\.([A-Za-z0-9_-]{0,1024})$/;

/** What a transaction says of itself; undefined where it is none. */
const read = (transaction: string): { readonly begunAtMs: number; readonly returnTo: string } | undefined => {
  const [, at, path] = transactionFormat.exec(transaction) ?? [];
  if (at === undefined || path === undefined) return undefined;
  return { begunAtMs: Number.parseInt(at, 36), returnTo: Buffer.from(path, "base64url").toString("utf8") };
};

/** Login by authorization code, with PKCE, state and nonce. */
export const createIssuerLogin = (options: IssuerLoginOptions): IssuerLogin => {
  const { clock, store } = options;
  let known: { readonly configuration: Promise<oidc.Configuration>; readonly askAtMs: number } | undefined;
  let exchanges = 0;

  const ask = (): NonNullable<typeof known> => {
    const asked = { configuration: discover(options), askAtMs: clock.now() + discoveredForMs };
    asked.configuration.catch(() => {
      if (known === asked) known = { ...asked, askAtMs: clock.now() + askAgainMs };
    });
    return asked;
  };

  const configured = async (): Promise<oidc.Configuration> => {
    if (known === undefined || clock.now() >= known.askAtMs) known = ask();
    try {
      return await known.configuration;
    } catch (error) {
      throw unavailable(error);
    }
  };

  const exchange = async (transaction: string, callback: URL): Promise<string> => {
    if (exchanges >= exchangesMax)
      throw new StacyError("rate_limited", "too many logins are under way; try again soon");
    exchanges += 1;
    try {
      const { id_token: idToken } = await oidc.authorizationCodeGrant(await configured(), callback, {
        expectedState: derived(transaction, "state"),
        expectedNonce: derived(transaction, "nonce"),
        pkceCodeVerifier: derived(transaction, "verifier"),
        idTokenExpected: true,
      });
      return idToken ?? "";
    } catch (error) {
      throw error instanceof StacyError ? error : grantFailure(error);
    } finally {
      exchanges -= 1;
    }
  };

  return {
    async begin(redirectUri, returnTo) {
      const path = Buffer.from(returnTo).toString("base64url");
      const transaction = `${clock.now().toString(36)}.${options.ids.session()}.${path}`;
      const configuration = await configured();
      const url = oidc.buildAuthorizationUrl(configuration, {
        ...options.parameters,
        redirect_uri: redirectUri,
        scope: options.scopes.join(" "),
        state: derived(transaction, "state"),
        nonce: derived(transaction, "nonce"),
        code_challenge: await oidc.calculatePKCECodeChallenge(derived(transaction, "verifier")),
        code_challenge_method: "S256",
      });
      return { transaction, authorizeUrl: url.href };
    },

    async complete(transaction, callback) {
      const begun = read(transaction);
      const nowMs = clock.now();
      if (begun === undefined || begun.begunAtMs > nowMs + clocksDifferMs)
        throw failed("no login was begun in this browser");
      if (begun.begunAtMs + loginLifeMs <= nowMs) throw failed("the login took too long");
      const token = await options.idTokens.verify(await exchange(transaction, callback));
      // The issuer takes a code once; whoever has cookie and address of an ended login gets nothing even where it doesn't.
      const spent = createHash("sha256").update(transaction).digest("hex");
      if (!(await store.spendLogin(spent, begun.begunAtMs + loginLifeMs))) throw failed("this login has ended already");
      return { token, returnTo: begun.returnTo };
    },
  };
};

const discover = ({ issuer, clientId, clientSecret, fetch }: IssuerLoginOptions): Promise<oidc.Configuration> => {
  const url = new URL(issuer);
  const isPlain = url.protocol === "http:" && isLoopback(url.hostname);
  return oidc.discovery(
    url,
    clientId,
    undefined,
    clientSecret === undefined ? oidc.None() : oidc.ClientSecretBasic(clientSecret.reveal()),
    {
      timeout: loginAnswerTimeoutSeconds,
      execute: isPlain ? [oidc.allowInsecureRequests] : [],
      [oidc.customFetch]: fetch as oidc.CustomFetch,
    },
  );
};

/** A word such as access_denied, where it is one: the rest of what an address says is anybody's. */
const wordOf = (error: unknown): string =>
  typeof error === "string" && /^[a-z_]{1,64}$/.test(error) ? ` (${error})` : "";

const grantFailure = (error: unknown): StacyError => {
  if (error instanceof oidc.AuthorizationResponseError || error instanceof oidc.ResponseBodyError) {
    return failed(`the issuer refused the login${wordOf(error.error)}`, error);
  }
  if (error instanceof oidc.ClientError && /TIMEOUT|NETWORK|OAUTH_RESPONSE_IS_NOT_CONFORM/.test(error.code ?? "")) {
    return unavailable(error);
  }
  if (error instanceof TypeError && error.message === "fetch failed") return unavailable(error);
  return failed("what came back from the issuer is not the end of a login that this browser began", error);
};
