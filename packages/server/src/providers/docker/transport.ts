import type Docker from "dockerode";
import type { Dial } from "../../guest/guest.ts";

/** A way from the server to the agents in an engine's containers. */
export interface AgentTransport {
  /** How the agent is told to listen. */
  readonly flags: readonly string[];
  /** What the sandbox's container is given for it. */
  mounts(sandboxId: string): Docker.MountSettings[];
  dial(sandboxId: string): Dial;
  /** Before the container is made; clears what one of the same id left. */
  prepare(sandboxId: string): Promise<void>;
  /** Resolves when the agent listens. */
  opened(sandboxId: string, signal: AbortSignal): Promise<void>;
  /** Once the agent has answered, before the first program of the sandbox's runs. Throws what must not be. */
  seal(sandboxId: string): Promise<void>;
  /** Ids of the sandboxes that something was prepared for. */
  list(): Promise<readonly string[]>;
  /** Idempotent. */
  remove(sandboxId: string): Promise<void>;
}
