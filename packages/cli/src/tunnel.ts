import type { Socket } from "node:net";
import { openServerSocket, type ServerAddress } from "./server-socket.ts";

/** Bytes that wait for the server before the local program isn't read any more. */
const waitingBytesMax = 1024 * 1024;

/** Carries a local connection, paused until then, to a port of a sandbox. Says why where it can't. */
export function openTunnel(
  server: ServerAddress,
  { sandboxId, port }: { readonly sandboxId: string; readonly port: number },
  local: Socket,
  onFailure: (reason: string, message: string) => void,
): void {
  const tunnel = openServerSocket(server, `/sandboxes/${encodeURIComponent(sandboxId)}/ports/${port}/tunnel`);
  const send = (data: Buffer): void => {
    tunnel.send(data, () => {
      if (tunnel.bufferedAmount < waitingBytesMax) local.resume();
    });
    if (tunnel.bufferedAmount >= waitingBytesMax) local.pause();
  };
  tunnel.on("open", () => {
    local.on("data", send);
    local.on("end", () => tunnel.send(Buffer.alloc(0)));
    local.resume();
  });
  tunnel.on("message", (data: Buffer, isBinary) => {
    if (!isBinary) {
      const { reason, error } = JSON.parse(data.toString()) as { reason: string; error: string };
      onFailure(reason, error);
    } else if (data.length === 0) local.end();
    else if (!local.write(data)) {
      tunnel.pause();
      local.once("drain", () => tunnel.resume());
    }
  });
  tunnel.on("error", (error) => onFailure("", error.message));
  tunnel.on("close", (code) => {
    // What was told to end gets its last bytes; all else breaks, as the connection inside did.
    if (code === 1000) local.end();
    else local.destroy();
  });
  local.on("close", () => tunnel.close());
}
