import { type IncomingMessage, type Server, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { type WebSocket, WebSocketServer } from "ws";
import { webSocketMessageBytesMax } from "./bounds.ts";
import { endSocket } from "./handlers/socket-frames.ts";
import type { Carrier, InFlight } from "./in-flight.ts";

interface Pending {
  readonly socket: Duplex;
  readonly head: Buffer;
}

/** Whether Node should hand the request to the upgrade listener; all others are served as ordinary requests. */
export const isWebSocketRequest = (request: IncomingMessage): boolean =>
  request.method === "GET" && request.headers.upgrade?.toLowerCase() === "websocket";

/**
 * WebSocket requests take the same way as all others: through the front door, to their route, which then accepts.
 * What is not accepted gets an ordinary HTTP answer.
 */
export const createUpgrades = (inFlight: InFlight) => {
  const pending = new WeakMap<IncomingMessage, Pending>();
  const acceptor = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: webSocketMessageBytesMax,
    perMessageDeflate: false,
  });

  return {
    listen(app: FastifyInstance, server: Server): void {
      server.on("upgrade", (request, socket, head) => {
        pending.set(request, { socket, head });
        socket.on("error", () => socket.destroy());
        const response = new ServerResponse(request);
        response.shouldKeepAlive = false;
        response.assignSocket(socket as Parameters<typeof response.assignSocket>[0]);
        response.once("finish", () => socket.end());
        app.routing(request, response);
      });
    },

    isPending: (request: IncomingMessage): boolean => pending.has(request),

    /** The connection as it is, for a handler that speaks on it itself; a shutdown ends it with its request. */
    take(request: FastifyRequest): Pending | undefined {
      const upgrade = pending.get(request.raw);
      if (upgrade === undefined) return undefined;
      pending.delete(request.raw);
      inFlight.markEndless(request.served);
      request.served.carrier = { begun: true, cut: () => upgrade.socket.destroy() };
      upgrade.socket.once("close", () => {
        inFlight.remove(request.served);
        request.served.abort(new Error("the client has gone away"));
      });
      return upgrade;
    },

    /** Answers 101 and runs the conversation; a throw closes it with 1011. */
    async accept(request: FastifyRequest, converse: (socket: WebSocket) => Promise<void>): Promise<void> {
      const upgrade = pending.get(request.raw);
      if (upgrade === undefined) throw new Error("the request is not an upgrade");
      pending.delete(request.raw);
      const { socket, head } = upgrade;
      socket.once("close", () => inFlight.remove(request.served));
      acceptor.handleUpgrade(request.raw, socket, head, (webSocket) => {
        request.served.carrier = webSocketCarrier(webSocket);
        inFlight.addSocket(webSocket, request.served);
        webSocket.once("close", () => request.served.abort(new Error("the client has gone away")));
        webSocket.on("error", (error) => request.log.debug({ err: error }, "websocket failed"));
        converse(webSocket).catch((error: unknown) => {
          request.log.error({ err: error, request_id: request.id }, "websocket handler failed");
          webSocket.close(1011, "internal error");
        });
      });
    },
  };
};

/** Longest reason of a close frame, bytes. */
const closeReasonBytesMax = 123;

const webSocketCarrier = (socket: WebSocket): Carrier => ({
  begun: true,
  end: (reason) => {
    const text = Buffer.from(reason.message).subarray(0, closeReasonBytesMax);
    endSocket(socket, reason.entry.status >= 500 ? 1013 : 1008, text.toString().replace(/\ufffd+$/, ""));
  },
  cut: () => socket.terminate(),
});

export type Upgrades = ReturnType<typeof createUpgrades>;
