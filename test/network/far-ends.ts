import { existsSync, readFileSync, statSync } from "node:fs";
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { createServer, type Server, type Socket } from "node:net";
import { join, normalize } from "node:path";
import type { TLSSocket } from "node:tls";

export interface Request {
  readonly method: string;
  readonly host: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, unknown>>;
  /** The body's length in bytes, as far as it came. */
  bodyBytes: number;
}

/** A connection as its far end has it. */
export interface Connection {
  /** Address and port that were dialled; IPv6 in brackets. */
  readonly at: string;
  readonly from: string;
  /** Undefined where no TLS was spoken, empty where none was sent. */
  sni?: string;
  readonly requests: Request[];
  /** Bytes that came, TLS included. */
  received: number;
  /** The first that came where it was neither HTTP nor TLS. */
  text: string;
  ended: boolean;
}

export interface FarEndFiles {
  readonly certFile: string;
  readonly keyFile: string;
  /** What is served: `<host>/<path>`. */
  readonly wwwDir: string;
}

export const echoPort = 7;
export const bannerPort = 25;
export const banner = "220 mail.example ready\r\n";
const keptTextBytes = 4096;

const addressOf = (socket: Socket): string => {
  const address = (socket.localAddress ?? "").replace(/^::ffff:(?=\d+\.)/, "");
  return `${address.includes(":") ? `[${address}]` : address}:${socket.localPort}`;
};

const contentTypes: Readonly<Record<string, string>> = { html: "text/html", json: "application/json" };

const sendFile = (path: string, response: ServerResponse): void => {
  const at = existsSync(path) && statSync(path).isDirectory() ? join(path, "index.html") : path;
  if (!existsSync(at)) return void response.writeHead(404).end("nothing of that name\n");
  response.setHeader("content-type", contentTypes[at.split(".").at(-1) ?? ""] ?? "application/octet-stream");
  // At once: whoever has ended its own side gets it too.
  response.end(readFileSync(at));
};

const sendBytes = (count: number, response: ServerResponse): void => {
  const chunk = Buffer.alloc(64 * 1024, "x");
  response.setHeader("content-length", count);
  let left = count;
  const more = (): void => {
    while (left > 0) {
      const size = Math.min(left, chunk.length);
      left -= size;
      if (!response.write(chunk.subarray(0, size))) return void response.once("drain", more);
    }
    response.end();
  };
  more();
};

/**
 * Servers on every address of this network namespace. By HTTP: `/headers` (tells those of the request), `/redirect?to=URL`, `/bytes/N`, `/hold` (never ends), files of
 * the name's directory, and elsewhere `reached ADDRESS as HOST`.
 */
export const startFarEnds = async ({ certFile, keyFile, wwwDir }: FarEndFiles) => {
  const sockets = new Map<Socket, Connection>();
  const byPeer = new Map<string, Connection>();
  let connections: Connection[] = [];

  const accept = (socket: Socket): Connection => {
    const at = addressOf(socket);
    const one: Connection = {
      at,
      from: `${socket.remoteAddress}`,
      requests: [],
      received: 0,
      text: "",
      ended: false,
    };
    connections.push(one);
    sockets.set(socket, one);
    byPeer.set(`${socket.remoteAddress} ${socket.remotePort}`, one);
    socket.on("error", () => {});
    socket.once("close", () => {
      one.received = socket.bytesRead;
      one.ended = true;
      sockets.delete(socket);
    });
    return one;
  };
  const recordOf = (socket: Socket) => byPeer.get(`${socket.remoteAddress} ${socket.remotePort}`);

  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const record = recordOf(request.socket);
    const { method = "", url = "", headers } = request;
    const told: Request = { method, url, host: headers.host ?? "", headers, bodyBytes: 0 };
    record?.requests.push(told);
    request.on("data", (chunk: Buffer) => {
      told.bodyBytes += chunk.length;
    });
    request.on("error", () => {});
    const host = told.host.replace(/:\d+$/, "").toLowerCase();
    const parsed = new URL(url, "http://any.example");
    const bytes = /^\/bytes\/(\d+)$/.exec(parsed.pathname)?.[1];
    request.once("end", () => {
      if (bytes !== undefined) sendBytes(Number(bytes), response);
      else if (parsed.pathname === "/headers") response.end(JSON.stringify(headers));
      else if (parsed.pathname === "/hold") response.writeHead(200).write("held\n");
      else if (parsed.pathname === "/redirect")
        response.writeHead(302, { location: parsed.searchParams.get("to") ?? "" }).end();
      else if (host !== "" && existsSync(join(wwwDir, host)))
        sendFile(join(wwwDir, host, normalize(decodeURIComponent(parsed.pathname))), response);
      else response.end(`reached ${record?.at} as ${told.host}\n`);
    });
  };

  const listen = async (server: Server, port: number): Promise<void> =>
    await new Promise((resolve, reject) => server.once("error", reject).listen({ port, host: "::" }, resolve));

  const http = createHttpServer(answer);
  await listen(
    createServer({ allowHalfOpen: true }, (socket) => {
      accept(socket);
      http.emit("connection", socket);
    }),
    80,
  );
  const cert = readFileSync(certFile);
  const key = readFileSync(keyFile);
  /** Called with the socket as `this`, and only where a name was sent: also for a handshake that ends there. */
  function named(this: TLSSocket, name: string, done: (error: null) => void): void {
    const record = recordOf(this);
    if (record !== undefined) record.sni = name;
    done(null);
  }
  const https = createHttpsServer({ cert, key, SNICallback: named }, answer);
  https.on("secureConnection", (socket) => {
    const record = recordOf(socket);
    if (record !== undefined) record.sni ??= "";
  });
  await listen(
    createServer({ allowHalfOpen: true }, (socket) => {
      accept(socket);
      https.emit("connection", socket);
    }),
    443,
  );
  const keepText = (record: Connection, chunk: Buffer): void => {
    record.text = (record.text + chunk.toString("latin1")).slice(0, keptTextBytes);
  };
  await listen(
    createServer({ allowHalfOpen: true }, (socket) => {
      const record = accept(socket);
      socket.on("data", (chunk) => keepText(record, chunk)).pipe(socket);
    }),
    echoPort,
  );
  await listen(
    createServer((socket) => {
      const record = accept(socket);
      socket.write(banner);
      socket.on("data", (chunk) => {
        keepText(record, chunk);
        socket.write("250 ok\r\n");
      });
    }),
    bannerPort,
  );

  return {
    records(): readonly Connection[] {
      for (const [socket, one] of sockets) one.received = socket.bytesRead;
      return connections;
    },
    forget(): void {
      connections = [...sockets.values()];
    },
  };
};
