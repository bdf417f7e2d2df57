import { type ClientOptions, WebSocket } from "ws";

export interface ServerAddress {
  readonly url: string;
  readonly apiKey: string | undefined;
}

/** A WebSocket at a path after `/api/v1`. */
export const openServerSocket = (server: ServerAddress, path: string, options: ClientOptions = {}): WebSocket =>
  new WebSocket(`${server.url.replace(/^http/, "ws").replace(/\/+$/, "")}/api/v1${path}`, {
    headers: server.apiKey === undefined ? {} : { "X-API-Key": server.apiKey },
    perMessageDeflate: false,
    ...options,
  });
