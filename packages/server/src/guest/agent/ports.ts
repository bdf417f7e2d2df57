import type { Duplex } from "node:stream";
import type { Client } from "@connectrpc/connect";
import { StacyError } from "@stacyvm/contract";
import type { AgentConnection, Dial } from "../guest.ts";
import type { GuestPorts } from "../guest-ports.ts";
import type { Guest as GuestService } from "../wire/stacyvm/guest/v1/guest_pb.js";
import { agentText, guestFailure } from "./failures.ts";
import { headBytesMax, malformed, parseHead } from "./http-head.ts";

/** Most listening ports that are passed on. */
const portsMax = 4_096;
/** How long a connection inside may take to stand, milliseconds; the agent gives up before. */
const dialTimeoutMs = 15_000;

export interface AgentPortsOptions {
  readonly guest: Client<typeof GuestService>;
  readonly dial: Dial;
  /** Deadline of a call that moves no bulk, milliseconds. */
  readonly callTimeoutMs: number;
}

/** Ports behind an agent; each dial is a connection of its own, which carries raw bytes once the agent has answered. */
export const agentPorts = ({ guest, dial, callTimeoutMs }: AgentPortsOptions): GuestPorts => ({
  list: async (signal) => {
    try {
      const { ports } = await guest.listPorts({}, { signal, timeoutMs: callTimeoutMs });
      if (ports.length > portsMax) {
        throw new StacyError("guest_protocol", `the sandbox's agent listed ${ports.length} ports`);
      }
      return ports.map(({ port, address, pid, command }) => ({
        port,
        address: agentText(address),
        pid,
        command: agentText(command),
      }));
    } catch (error) {
      throw guestFailure(error, signal);
    }
  },
  dial: (port, signal) => upgraded(dial, `/dial?port=${port}`, "stacyvm-dial", `port ${port} in the sandbox`, signal),
  openSlot: (signal) => upgraded(dial, "/egress", "stacyvm-egress", "the agent's egress door", signal),
});

const upgraded = async (
  dial: Dial,
  path: string,
  protocol: string,
  to: string,
  signal: AbortSignal,
): Promise<Duplex> => {
  signal.throwIfAborted();
  const socket = dial();
  const within = AbortSignal.any([signal, AbortSignal.timeout(dialTimeoutMs)]);
  const abort = (): void => void socket.destroy();
  within.addEventListener("abort", abort, { once: true });
  try {
    socket.write(`GET ${path} HTTP/1.1\r\nHost: agent\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`);
    return await opened(socket, to);
  } catch (error) {
    socket.destroy();
    throw guestFailure(error, within);
  } finally {
    within.removeEventListener("abort", abort);
  }
};

/** The socket once the agent has said that the connection stands; it holds all that came after those words, its end too. */
async function opened(socket: AgentConnection, to: string): Promise<Duplex> {
  const head = await new Promise<string>((resolve, reject) => {
    let held: Buffer = Buffer.alloc(0);
    const settle = (action: () => void): void => {
      socket.off("readable", onReadable).off("close", onClose).off("error", reject);
      action();
    };
    // Not by "data": a socket that was paused once stays so for whoever takes it over.
    const onReadable = (): void => {
      // No more than is there: a read beyond that would pass on an end which belongs to whoever takes the socket over.
      while (socket.readableLength > 0) held = Buffer.concat([held, socket.read(socket.readableLength)]);
      const end = held.indexOf("\r\n\r\n");
      if (end < 0) {
        if (held.length > headBytesMax) settle(() => reject(malformed()));
        // Until there the end is the agent's.
        else socket.read(0);
        return;
      }
      if (held.length > end + 4) socket.unshift(held.subarray(end + 4));
      // What is sent may end while answers still come.
      socket.allowHalfOpen = true;
      settle(() => resolve(held.toString("latin1", 0, end)));
    };
    const onClose = (): void =>
      settle(() => reject(new StacyError("guest_unreachable", "the sandbox's agent does not answer")));
    socket.on("readable", onReadable).once("close", onClose).once("error", reject);
  });
  if (head.startsWith("HTTP/1.1 101 ")) return socket;
  const { status } = parseHead(head);
  if (status === 429) throw new StacyError("sandbox_limit", "the sandbox has too many connections to its ports");
  if (status >= 500) throw new StacyError("port_refused", `nothing listens on ${to}`);
  throw new StacyError("guest_protocol", `the sandbox's agent answered a dial with status ${status}`);
}
