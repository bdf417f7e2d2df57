import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, type JWK } from "jose";
import Provider from "oidc-provider";

export interface TestIssuer extends AsyncDisposable {
  readonly url: string;
  /** How often its keys were asked for. */
  readonly keysAsked: () => number;
  /** An access token for the audience, as the issuer's own token endpoint gives it to the client of that name. */
  token(client: string): Promise<string>;
  /** Signs with a new key from now on, and no longer offers the old one. */
  rotate(): Promise<void>;
  /** Answers nothing, or again. */
  setDown(down: boolean): void;
}

export interface TestIssuerOptions {
  readonly audience: string;
  /** Clients by name, each with the claims that its tokens carry beside the usual ones. */
  readonly clients: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

const secret = "a client's secret that is long enough";

/** A real OpenID Connect issuer on a loopback port, with clients that get tokens for themselves. */
export const startIssuer = async ({ audience, clients }: TestIssuerOptions): Promise<TestIssuer> => {
  let isDown = false;
  let keysAsked = 0;
  let handle: ReturnType<Provider["callback"]>;
  let keys = 0;
  const server: Server = createServer((request, response) => {
    if (isDown) {
      request.socket.destroy();
      return;
    }
    if (request.url === "/jwks") keysAsked += 1;
    void handle(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const newKey = async (): Promise<JWK> => {
    const { privateKey } = await generateKeyPair("ES256", { extractable: true });
    keys += 1;
    return { ...(await exportJWK(privateKey)), kid: `key-${keys}`, alg: "ES256", use: "sig" };
  };
  const rotate = async (): Promise<void> => {
    const provider = new Provider(url, {
      jwks: { keys: [await newKey()] },
      clients: Object.keys(clients).map((client_id) => ({
        client_id,
        client_secret: secret,
        grant_types: ["client_credentials"],
        redirect_uris: [],
        response_types: [],
        id_token_signed_response_alg: "ES256",
      })),
      features: {
        clientCredentials: { enabled: true },
        devInteractions: { enabled: false },
        resourceIndicators: {
          enabled: true,
          defaultResource: () => audience,
          getResourceServerInfo: () => ({
            scope: "",
            audience,
            accessTokenFormat: "jwt",
            accessTokenTTL: 600,
            jwt: { sign: { alg: "ES256" } },
          }),
        },
      },
      extraTokenClaims: (_context, token) => ({ sub: token.clientId, ...clients[token.clientId ?? ""] }),
    });
    handle = provider.callback();
  };
  await rotate();

  return {
    url,
    keysAsked: () => keysAsked,
    rotate,
    setDown: (down) => {
      isDown = down;
    },
    async token(client) {
      const answer = await fetch(`${url}/token`, {
        method: "POST",
        headers: {
          authorization: `Basic ${Buffer.from(`${client}:${encodeURIComponent(secret)}`).toString("base64")}`,
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
