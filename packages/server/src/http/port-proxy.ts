import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { StacyError } from "@stacyvm/contract";
import { headersForApp, headersForClient } from "./port-headers.ts";

/** How long an app may take to begin its answer, milliseconds. */
const portAnswerTimeoutMs = 120_000;
/** Largest head of an app's answer, bytes. */
const portHeadBytesMax = 64 * 1024;

/** One request that goes through, and where its answer goes. */
export interface ProxyCarrier {
  readonly request: IncomingMessage;
  /** Ours, which stand on the answer too; lower-case names. */
  readonly headers: Readonly<Record<string, unknown>>;
  /** From here on the answer is the app's; nothing else may be sent. */
  begin(): ServerResponse;
  /** The connection itself where the request is a WebSocket's; undefined for all others. */
  takeSocket(): { readonly socket: Duplex; readonly head: Buffer } | undefined;
}

export interface ProxyRequest {
  readonly port: number;
  /** Stands before the app's own path. */
  readonly prefix: string;
  /** Byte for byte as the client sent it. */
  readonly target: string;
  /** A connection to the app that nobody else uses. */
  readonly connection: Duplex;
  readonly signal: AbortSignal;
}

/** Carries one request to an app and its answer back, or a WebSocket both ways. Throws while nothing was sent yet. */
export async function proxyToPort(carrier: ProxyCarrier, proxied: ProxyRequest): Promise<void> {
  const { connection, signal } = proxied;
  const abort = (): void => void connection.destroy();
  signal.addEventListener("abort", abort, { once: true });
  try {
    // Who left while the connection was made is told by no event any more.
    signal.throwIfAborted();
    const { answer, upgraded } = await ask(carrier, proxied);
    if (upgraded !== undefined) await joinSockets(carrier, answer, upgraded);
    else await passOn(carrier, answer);
  } finally {
    signal.removeEventListener("abort", abort);
    connection.destroy();
  }
}

interface Asked {
  readonly answer: IncomingMessage;
  /** Set where the app speaks WebSocket from here on. */
  readonly upgraded?: { readonly socket: Duplex; readonly head: Buffer };
}

function ask({ request }: ProxyCarrier, { port, prefix, target, connection, signal }: ProxyRequest): Promise<Asked> {
  const wantsSocket = request.headers.upgrade?.toLowerCase() === "websocket";
  const headers = headersForApp(request, port, prefix);
  const isChunked = request.headers["transfer-encoding"] !== undefined;
  const hasBody = isChunked || request.headers["content-length"] !== undefined;
  if (isChunked) headers.push("Transfer-Encoding", "chunked");
  headers.push("Connection", wantsSocket ? "Upgrade" : "close");
  if (wantsSocket) headers.push("Upgrade", "websocket");
  return new Promise((resolve, reject) => {
    const outgoing = http.request({
      createConnection: () => connection,
      method: request.method ?? "GET",
      path: target,
      headers,
      setHost: false,
      maxHeaderSize: portHeadBytesMax,
    });
    const timer = setTimeout(() => {
      outgoing.destroy(new StacyError("port_timeout", `port ${port} did not answer in time`));
    }, portAnswerTimeoutMs);
    outgoing.on("response", (answer) => {
      clearTimeout(timer);
      resolve({ answer });
    });
    outgoing.on("upgrade", (answer, socket, head) => {
      clearTimeout(timer);
      if (wantsSocket) resolve({ answer, upgraded: { socket, head } });
      else outgoing.destroy(new StacyError("port_protocol", `port ${port} changed the protocol unasked`));
    });
    outgoing.on("error", (cause) => {
      clearTimeout(timer);
      if (signal.aborted) reject(signal.reason);
      else if (cause instanceof StacyError) reject(cause);
      else reject(new StacyError("port_protocol", `what listens on port ${port} did not answer in HTTP`, { cause }));
    });
    if (!hasBody) outgoing.end();
    // An app that answers before it has read everything closes; its answer is what counts.
    else pipeline(request, outgoing).catch((error: unknown) => outgoing.destroy(error as Error));
  });
}

async function passOn(carrier: ProxyCarrier, answer: IncomingMessage): Promise<void> {
  const response = carrier.begin();
  response.writeHead(answer.statusCode ?? 502, headersForClient(answer, carrier.headers));
  response.flushHeaders();
  // A failure from here on cuts the connection, so that no end is faked.
  await pipeline(answer, response).catch(() => response.destroy());
}

async function joinSockets(
  carrier: ProxyCarrier,
  answer: IncomingMessage,
  app: { readonly socket: Duplex; readonly head: Buffer },
): Promise<void> {
  const client = carrier.takeSocket();
  if (client === undefined) throw new StacyError("port_protocol", "the request is no WebSocket's");
  const headers = [...headersForClient(answer, {}), "Connection", "Upgrade", "Upgrade", "websocket"];
  const lines = ["HTTP/1.1 101 Switching Protocols"];
  for (let at = 0; at < headers.length; at += 2) lines.push(`${headers[at]}: ${headers[at + 1]}`);
  client.socket.write(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
  client.socket.write(app.head);
  app.socket.write(client.head);
  // Whichever side ends or breaks, the other goes too.
  await Promise.allSettled([pipeline(client.socket, app.socket), pipeline(app.socket, client.socket)]);
  client.socket.destroy();
}
