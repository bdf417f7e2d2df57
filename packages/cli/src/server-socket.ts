import { type ClientOptions, WebSocket } from "ws";

export interface ServerAddress {
  readonly url: string;
  readonly apiKey: string | undefined;
  /** An issuer's token; undefined beside a key. */
  readonly token?: string | undefined;
}

const credentialOf = ({ apiKey, token }: ServerAddress): Readonly<Record<string, string>> => {
  if (apiKey !== undefined) return { "X-API-Key": apiKey };
  return token === undefined ? {} : { Authorization: `Bearer ${token}` };
};

/** A WebSocket at a path after `/api/v1`. */
export const openServerSocket = (server: ServerAddress, path: string, options: ClientOptions = {}): WebSocket =>
  new WebSocket(`${server.url.replace(/^http/, "ws").replace(/\/+$/, "")}/api/v1${path}`, {
    headers: { ...credentialOf(server) },
    perMessageDeflate: false,
    ...options,
  });
