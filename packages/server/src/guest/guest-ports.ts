import type { Duplex } from "node:stream";

export interface GuestPort {
  readonly port: number;
  readonly address: string;
  /** 0 where the agent doesn't know. */
  readonly pid: number;
  readonly command: string;
}

/** Programs in a sandbox that listen. */
export interface GuestPorts {
  list(signal: AbortSignal): Promise<readonly GuestPort[]>;
  /**
   * A byte stream to a port of the sandbox's own loopback, which needs no network. Throws port_refused where nothing
   * listens. The caller ends it; the signal counts until it stands.
   */
  dial(port: number, signal: AbortSignal): Promise<Duplex>;
  /** A byte stream to the agent for a connection of the egress gateway's, where the agent takes those among the server's. */
  openSlot(signal: AbortSignal): Promise<Duplex>;
}
