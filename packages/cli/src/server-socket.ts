import { type ClientOptions, WebSocket } from "ws";

export interface ServerAddress {
  readonly url: string;
  readonly apiKey: string | undefined;
  /** An issuer's token; undefined beside a key. */
  readonly token?: string | undefined;
  readonly tenant?: string | undefined;
  readonly project?: string | undefined;
}

const headersOf = ({ apiKey, token, tenant, project }: ServerAddress): Readonly<Record<string, string>> => ({
  ...(apiKey === undefined
    ? token === undefined
      ? {}
      : { Authorization: `Bearer ${token}` }
    : { "X-API-Key": apiKey }),
  ...(tenant === undefined ? {} : { "X-Tenant-ID": tenant }),
  ...(project === undefined ? {} : { "X-Project-ID": project }),
});

/** A WebSocket at a path after `/api/v1`. */
export const openServerSocket = (server: ServerAddress, path: string, options: ClientOptions = {}): WebSocket =>
  new WebSocket(`${server.url.replace(/^http/, "ws").replace(/\/+$/, "")}/api/v1${path}`, {
    headers: { ...headersOf(server) },
    perMessageDeflate: false,
    ...options,
  });
