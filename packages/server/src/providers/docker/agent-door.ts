import type Docker from "dockerode";
import type { ConnectGuest, Guest } from "../../guest/guest.ts";
import { type AttachedDial, attachedDial } from "../attached-stream/attached-dial.ts";
import { parseEngineAddress } from "./address.ts";
import { attachAgent } from "./agent-attachment.ts";
import type { EngineFacts } from "./engine-facts.ts";

/** How agents are reached: by a socket of theirs on this host, or by their containers' stdin and stdout. */
export type AgentTransport = "socket" | "stream";

export interface TransportChoice {
  readonly agentTransport: "auto" | AgentTransport;
  readonly socket: string;
  readonly tlsDir: string;
}

/**
 * `auto` takes the stream where the engine may stand on another machine, or in a virtual one, and where the server isn't
 * root, whom alone the sockets of sandboxes' users let in.
 */
export const transportOf = (
  { agentTransport, socket, tlsDir }: TransportChoice,
  isDesktop: boolean,
  isRoot = process.geteuid?.() === 0,
): AgentTransport => {
  if (agentTransport !== "auto") return agentTransport;
  if (!isRoot) return "stream";
  return isDesktop || parseEngineAddress(socket, tlsDir !== "").kind === "tcp" ? "stream" : "socket";
};

const machines: Readonly<Record<string, NodeJS.Architecture>> = {
  x86_64: "x64",
  amd64: "x64",
  aarch64: "arm64",
  arm64: "arm64",
};

/** Why the engine's sandboxes can't be reached, and what would help. */
export function* transportProblems(choice: TransportChoice, facts: EngineFacts): Generator<string> {
  const transport = transportOf(choice, facts.isDesktop);
  if (transport === "socket" && facts.isDesktop) {
    yield "Docker Desktop's containers are in a virtual machine, out of reach of a socket on this host: set providers.docker.agent_transport to auto";
  }
  if (facts.machine !== "" && machines[facts.machine] !== process.arch) {
    yield `the engine's machine is ${facts.machine} and the server's agent is for ${process.arch}: run the server on such a machine`;
  }
  if (transport === "socket" && process.geteuid?.() !== 0) {
    yield "the server is not root, and only root reaches the sockets that sandboxes' users make: run it as root, or set providers.docker.agent_transport to stream";
  }
}

export interface AgentStreamsOptions {
  readonly connectGuest: ConnectGuest;
  /** Of a client that waits. */
  readonly container: (containerId: string) => Promise<Docker.Container>;
}

/** Guests behind their containers' stdin and stdout. */
export const agentStreams = ({ connectGuest, container }: AgentStreamsOptions) => {
  const open = new Set<AttachedDial>();
  return {
    connect(sandboxId: string, containerId: string, key: string): Guest {
      const attached = attachedDial({
        attach: async (signal) => await attachAgent(await container(containerId), signal),
        key: Buffer.from(key, "hex"),
      });
      open.add(attached);
      const guest = connectGuest({ dial: attached.dial, label: sandboxId, multiplexed: true });
      return {
        ...guest,
        async [Symbol.asyncDispose]() {
          await guest[Symbol.asyncDispose]();
          open.delete(attached);
          attached.close();
        },
      };
    },
    /** Ends what is attached; a guest that is still used attaches anew. */
    leave(): void {
      for (const each of open) each.leave();
    },
  };
};
