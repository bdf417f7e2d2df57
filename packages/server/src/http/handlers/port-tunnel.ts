import { once } from "node:events";
import type { portTunnel } from "@stacyvm/contract";
import type { WebSocket } from "ws";
import type { UseCases } from "../../orchestrator/use-cases.ts";
import { toStacyError } from "../errors.ts";
import type { Handler } from "../handler.ts";
import { targetOf } from "./files.ts";
import { endSocket, failureText } from "./socket-end.ts";

/** A frame without bytes: its sender has no more to say. */
const end = Buffer.alloc(0);

/** Resolves when the frame has left: a client that doesn't read holds up the program, and costs no memory. */
const send = (socket: WebSocket, data: Buffer | string): Promise<void> =>
  new Promise((resolve, reject) => {
    socket.send(data, (error) => (error ? reject(error) : resolve()));
  });

/**
 * A connection to a port: binary frames carry its bytes, an empty one ends a direction. A text frame says why there is
 * none, or none any more.
 */
export const portTunnelHandler =
  ({ useCases }: { readonly useCases: UseCases }): Handler<typeof portTunnel> =>
  async (request, socket) => {
    socket.pause();
    const { signal } = request;
    try {
      const connection = await useCases.ports.dial(targetOf(request), request.params.port);
      const abort = (): void => void connection.destroy();
      signal.addEventListener("abort", abort, { once: true });
      try {
        const clientEnded = new Promise<void>((resolve) => {
          socket.on("message", (data: Buffer) => {
            if (data.length === 0) {
              connection.end();
              resolve();
            } else if (!connection.write(data)) {
              socket.pause();
              connection.once("drain", () => socket.resume());
            }
          });
          socket.once("close", resolve);
        });
        socket.resume();
        for await (const part of connection) await send(socket, part as Buffer);
        await send(socket, end);
        await clientEnded;
        if (!connection.writableFinished && !connection.destroyed) await once(connection, "close");
      } finally {
        signal.removeEventListener("abort", abort);
        connection.destroy();
      }
      endSocket(socket, 1000, "");
    } catch (error) {
      if (socket.readyState !== socket.OPEN) return;
      const told = { type: "error", reason: toStacyError(error).reason, error: failureText(error) };
      await send(socket, JSON.stringify(told)).catch(() => {});
      endSocket(socket, 1011, "no connection to the port");
    }
  };
