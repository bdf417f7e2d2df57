import { once } from "node:events";
import type { portTunnel } from "@stacyvm/contract";
import type { UseCases } from "../../orchestrator/use-cases.ts";
import type { Handler } from "../handler.ts";
import { targetOf } from "./files.ts";
import { endSocket, failureMessage, sendFrame } from "./socket-frames.ts";

/** A frame without bytes: its sender has no more to say. */
const end = Buffer.alloc(0);

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
        // Who left while the connection was made is told by no event any more.
        signal.throwIfAborted();
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
        for await (const part of connection) await sendFrame(socket, part as Buffer);
        await sendFrame(socket, end);
        await clientEnded;
        if (!connection.writableFinished && !connection.destroyed) await once(connection, "close");
      } finally {
        signal.removeEventListener("abort", abort);
        connection.destroy();
      }
      endSocket(socket, 1000, "");
    } catch (error) {
      if (socket.readyState !== socket.OPEN) return;
      await sendFrame(socket, failureMessage(error)).catch(() => {});
      endSocket(socket, 1011, "no connection to the port");
    }
  };
