import { once } from "node:events";
import net from "node:net";
import type { Client } from "stacyvm";
import { UsageFailure } from "../failure.ts";
import { interruptible } from "../interrupt.ts";
import type { Output } from "../output.ts";
import type { ServerAddress } from "../server-socket.ts";
import { table } from "../table.ts";
import { openTunnel } from "../tunnel.ts";

export async function portsCommand(client: Client, output: Output, id: string): Promise<void> {
  const ports = await (await client.get(id)).ports();
  const rows = ports.map(({ port, address, pid, command }) => [
    String(port),
    address,
    pid === undefined ? "-" : String(pid),
    command ?? "-",
  ]);
  const heading = ["PORT", "ADDRESS", "PID", "COMMAND"];
  const layout = { elastic: [heading.indexOf("COMMAND")], width: output.width };
  output.result(ports, ports.length === 0 ? "Nothing listens" : table([heading, ...rows], layout));
}

/** Whoever could reach another address would reach the sandbox, without a key. */
const loopback = "127.0.0.1";

interface Pair {
  readonly local: number;
  readonly remote: number;
}

/** `8080:3000`, or `3000` for the same port on both sides; a local 0 is any free one. */
export function parsePair(text: string): Pair {
  const [, first = "", second] = /^(\d{1,5})(?::(\d{1,5}))?$/.exec(text) ?? [];
  const [local, remote] = [Number(first), Number(second ?? first)];
  if (first === "" || local > 65_535 || remote < 1 || remote > 65_535) {
    throw new UsageFailure(`${text} is no pair of ports; for example 8080:3000, or 3000 for the same on both sides`);
  }
  return { local, remote };
}

/** Listens on this machine and carries each connection to the sandbox, until Ctrl-C or until the sandbox is gone. */
export async function portForwardCommand(
  client: Client,
  server: ServerAddress,
  output: Output,
  id: string,
  words: readonly string[],
): Promise<void> {
  const pairs = words.map(parsePair);
  await interruptible(async (signal) => {
    await client.get(id, { signal });
    const gone = Promise.withResolvers<never>();
    await using listeners = new AsyncDisposableStack();
    for (const { local, remote } of pairs) {
      const sockets = new Set<net.Socket>();
      const listener = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
        sockets.add(socket);
        socket.once("close", () => sockets.delete(socket)).on("error", () => {});
        openTunnel(server, { sandboxId: id, port: remote }, socket, (reason, message) => {
          if (reason === "sandbox_not_found" || reason === "sandbox_destroyed") gone.reject(new UsageFailure(message));
          else output.errorLine(`port ${remote}: ${message}`);
        });
      });
      listener.listen(local, loopback);
      try {
        await once(listener, "listening", { signal });
      } catch (error) {
        if (signal.aborted) throw error;
        const why =
          error instanceof Error && "code" in error && error.code === "EADDRINUSE" ? "is taken" : String(error);
        throw new UsageFailure(`${loopback}:${local} ${why}; choose another local port, or 0 for any`, {
          cause: error,
        });
      }
      listeners.defer(() => {
        listener.close();
        for (const socket of sockets) socket.destroy();
      });
      const { address, port } = listener.address() as net.AddressInfo;
      output.result({ address, port, sandbox: id, remote }, `Forwarding ${address}:${port} to port ${remote} of ${id}`);
    }
    const interrupted = once(signal, "abort").then(() => {
      throw signal.reason;
    });
    await Promise.race([gone.promise, interrupted]);
  });
}
