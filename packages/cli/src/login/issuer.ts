import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import * as oidc from "openid-client";
import type { SessionState } from "stacyvm";
import { UsageFailure } from "../failure.ts";

export type ProgramLogin = NonNullable<SessionState["program_login"]>;

export interface IssuerTokens {
  readonly accessToken: string;
  readonly idToken: string | undefined;
}

/** How long a login in the browser may take, milliseconds. */
const browserLoginTimeoutMs = 600_000;
/** Time that one answer of the issuer may take, seconds. */
const issuerTimeoutSeconds = 15;

const page = (text: string): string => `${text}\n`;

/**
 * Waits on a loopback port for the browser to come back. What doesn't carry the state is answered and passed over:
 * anybody on this machine can ask there.
 */
const waitForBrowser = async (state: string, signal: AbortSignal) => {
  const back = Promise.withResolvers<URL>();
  back.promise.catch(() => {});
  const server = createServer((request, response) => {
    const url = URL.parse(request.url ?? "", origin());
    const isIt =
      request.method === "GET" && request.headers.host === new URL(origin()).host && url?.pathname === "/callback";
    const isOurs = isIt && url.searchParams.get("state") === state;
    response.writeHead(isOurs ? 200 : 404, {
      "Content-Type": "text/plain; charset=utf-8",
      "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
      "Referrer-Policy": "no-referrer",
      "Cache-Control": "no-store",
      Connection: "close",
    });
    response.end(page(isOurs ? "This window can be closed: the terminal goes on." : "There is nothing here."));
    if (isOurs) response.once("close", () => back.resolve(url));
  });
  const origin = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const give = () => back.reject(signal.reason);
  signal.addEventListener("abort", give, { once: true });
  return {
    redirectUri: `${origin()}/callback`,
    returned: back.promise,
    [Symbol.dispose]() {
      signal.removeEventListener("abort", give);
      server.close();
      server.closeAllConnections();
    },
  };
};

const configurationOf = async ({ issuer, client_id }: ProgramLogin): Promise<oidc.Configuration> => {
  const url = URL.parse(issuer);
  const isPlain = url?.protocol === "http:" && ["127.0.0.1", "[::1]", "localhost"].includes(url.hostname);
  if (url === null || (url.protocol !== "https:" && !isPlain)) {
    throw new UsageFailure(`the server names an issuer that is not https: ${issuer}`);
  }
  const execute = isPlain ? [oidc.allowInsecureRequests] : [];
  return await oidc.discovery(url, client_id, undefined, oidc.None(), { execute, timeout: issuerTimeoutSeconds });
};

/** Login in the user's browser: authorization code with PKCE, state and nonce, to a port of this machine. */
export const loginWithIssuer = async (
  login: ProgramLogin,
  show: (address: string) => void,
  interrupted: AbortSignal,
): Promise<IssuerTokens> => {
  const signal = AbortSignal.any([interrupted, AbortSignal.timeout(browserLoginTimeoutMs)]);
  try {
    const configuration = await configurationOf(login);
    const state = oidc.randomState();
    const nonce = oidc.randomNonce();
    const verifier = oidc.randomPKCECodeVerifier();
    using browser = await waitForBrowser(state, signal);
    const address = oidc.buildAuthorizationUrl(configuration, {
      ...login.parameters,
      redirect_uri: browser.redirectUri,
      scope: login.scopes.join(" "),
      state,
      nonce,
      code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
    });
    if (!/^https?:$/.test(address.protocol)) throw new UsageFailure(`${login.issuer} names no http or https address`);
    show(address.href);
    const tokens = await oidc.authorizationCodeGrant(configuration, await browser.returned, {
      expectedState: state,
      expectedNonce: nonce,
      pkceCodeVerifier: verifier,
    });
    return { accessToken: tokens.access_token, idToken: tokens.id_token };
  } catch (error) {
    if (interrupted.aborted || error instanceof UsageFailure) throw error;
    throw new UsageFailure(`the login with ${login.issuer} failed: ${reasonOf(error, signal)}`, { cause: error });
  }
};

const reasonOf = (error: unknown, signal: AbortSignal): string => {
  if (signal.aborted) return `nobody came back from the browser within ${browserLoginTimeoutMs / 60_000} minutes`;
  if (error instanceof oidc.AuthorizationResponseError || error instanceof oidc.ResponseBodyError) {
    return error.error_description ?? error.error;
  }
  const { cause, message } = error as Error;
  const code = (cause as NodeJS.ErrnoException | undefined)?.code;
  return code === undefined ? message : `${message} (${code})`;
};
