import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Site extends AsyncDisposable {
  /** For example http://127.0.0.1:4000. */
  readonly origin: string;
  /** Paths that were asked for. */
  readonly visits: readonly string[];
  /** Of each visit the Cookie header; empty where there was none. */
  readonly cookies: readonly string[];
}

export interface Page {
  readonly type: string;
  readonly body: string | Buffer;
}

/** A web site of its own origin: the named pages, and an empty answer to everything else. */
export const openSite = async (pages: Readonly<Record<string, Page>>): Promise<Site> => {
  const visits: string[] = [];
  const cookies: string[] = [];
  const answer = ({ url = "/", headers }: IncomingMessage, response: ServerResponse) => {
    visits.push(url);
    cookies.push(headers.cookie ?? "");
    const page = pages[url];
    response.writeHead(200, { "Content-Type": page?.type ?? "text/plain" }).end(page?.body ?? "");
  };
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    visits,
    cookies,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};
