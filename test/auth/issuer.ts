import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, type JWK } from "jose";
import Provider, { type ClientMetadata, type Configuration } from "oidc-provider";

type Claims = Readonly<Record<string, unknown>>;

export interface TestIssuer extends AsyncDisposable {
  readonly url: string;
  /** How often its keys were asked for. */
  readonly keysAsked: () => number;
  /** An access token for the audience, as the issuer's own token endpoint gives it to the client of that name. */
  token(client: string): Promise<string>;
  /** Signs with a new key from now on, and no longer offers the old one. */
  rotate(): Promise<void>;
  /** How often anything was asked. */
  readonly asked: () => number;
  /** Lets requests for tokens wait until what is returned is called. */
  holdTokens(): () => void;
  /** Answers nothing, or again. */
  setDown(down: boolean): void;
  /** The client `web` may come back to this address. */
  allowRedirect(uri: string): void;
  /** Who sits at every browser from now on; nobody: the login is refused. */
  setPerson(name: string | undefined): void;
}

export interface TestIssuerOptions {
  readonly audience: string;
  /** Clients by name, each with the claims that its tokens carry beside the usual ones. */
  readonly clients?: Readonly<Record<string, Claims>>;
  /** People by subject, each with the claims of their tokens. They log in by the clients `web` and `cli`. */
  readonly people?: Readonly<Record<string, Claims>>;
  /** Life of the tokens that people get, seconds. */
  readonly tokenLifeS?: number;
}

/** Of every client that has one. */
export const clientSecret = "a client's secret that is long enough";

const common = { id_token_signed_response_alg: "ES256", response_types: [] } as const;

const machine = (client_id: string): ClientMetadata => ({
  ...common,
  client_id,
  client_secret: clientSecret,
  grant_types: ["client_credentials"],
  redirect_uris: [],
  response_types: [],
});

/** A real OpenID Connect issuer on a loopback port, with clients that get tokens for themselves and people who log in. */
export const startIssuer = async (options: TestIssuerOptions): Promise<TestIssuer> => {
  const { audience, clients = {}, people = {}, tokenLifeS = 600 } = options;
  let isDown = false;
  let keysAsked = 0;
  let asked = 0;
  let held: Promise<void> | undefined;
  let keys = 0;
  let key: JWK;
  let provider: Provider;
  let handle: ReturnType<Provider["callback"]>;
  let person: string | undefined;
  const redirects: string[] = ["http://127.0.0.1:9/callback"];

  const interact = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const result =
      person === undefined
        ? { error: "access_denied", error_description: "nobody is here" }
        : { login: { accountId: person }, consent: {} };
    await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
  };

  const server: Server = createServer(async (request, response) => {
    asked += 1;
    if (request.url === "/token") await held;
    if (isDown) {
      request.socket.destroy();
      return;
    }
    if (request.url === "/jwks") keysAsked += 1;
    if (request.url?.startsWith("/interaction/")) void interact(request, response);
    else void handle(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const newKey = async (): Promise<JWK> => {
    const { privateKey } = await generateKeyPair("ES256", { extractable: true });
    keys += 1;
    return { ...(await exportJWK(privateKey)), kid: `key-${keys}`, alg: "ES256", use: "sig" };
  };

  const configuration = (): Configuration => ({
    jwks: { keys: [key] },
    clients: [
      ...Object.keys(clients).map(machine),
      {
        ...common,
        client_id: "web",
        client_secret: clientSecret,
        grant_types: ["authorization_code"],
        redirect_uris: [...redirects],
        response_types: ["code"],
      },
      {
        ...common,
        client_id: "cli",
        application_type: "native",
        token_endpoint_auth_method: "none",
        grant_types: ["authorization_code"],
        redirect_uris: ["http://127.0.0.1/callback"],
        response_types: ["code"],
      },
    ],
    cookies: { keys: ["the issuer's cookies are signed with this"] },
    conformIdTokenClaims: false,
    claims: { openid: ["sub", "groups", "tenant_id"] },
    scopes: ["openid", "profile", "email"],
    ttl: { IdToken: tokenLifeS, AccessToken: tokenLifeS, Session: 600, Grant: 600, Interaction: 600 },
    findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id, ...people[id] }) }),
    interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
    async loadExistingGrant({ oidc }) {
      const { client, session } = oidc;
      const grant = new oidc.provider.Grant({
        ...(client && { clientId: client.clientId }),
        ...(session?.accountId !== undefined && { accountId: session.accountId }),
      });
      grant.addOIDCScope("openid profile email");
      grant.addResourceScope(audience, "openid profile email");
      await grant.save();
      return grant;
    },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => audience,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: "openid profile email",
          audience,
          accessTokenFormat: "jwt",
          accessTokenTTL: tokenLifeS,
          jwt: { sign: { alg: "ES256" } },
        }),
      },
    },
    extraTokenClaims: (_context, token) => {
      const subject = "accountId" in token ? String(token.accountId) : (token.clientId ?? "");
      return { sub: subject, ...clients[subject], ...people[subject] };
    },
  });
  const build = (): void => {
    provider = new Provider(url, configuration());
    handle = provider.callback();
  };
  const rotate = async (): Promise<void> => {
    key = await newKey();
    build();
  };
  await rotate();

  return {
    url,
    keysAsked: () => keysAsked,
    asked: () => asked,
    holdTokens() {
      const { promise, resolve } = Promise.withResolvers<void>();
      held = promise;
      return () => {
        held = undefined;
        resolve();
      };
    },
    rotate,
    setDown: (down) => {
      isDown = down;
    },
    allowRedirect(uri) {
      redirects.push(uri);
      build();
    },
    setPerson: (name) => {
      person = name;
    },
    async token(client) {
      const answer = await fetch(`${url}/token`, {
        method: "POST",
        headers: {
          authorization: `Basic ${Buffer.from(`${client}:${encodeURIComponent(clientSecret)}`).toString("base64")}`,
        },
        body: new URLSearchParams({ grant_type: "client_credentials", resource: audience }),
      });
      const { access_token: token, ...rest } = (await answer.json()) as { access_token?: string };
      if (token === undefined) throw new Error(`the issuer gave no token: ${JSON.stringify(rest)}`);
      return token;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};
