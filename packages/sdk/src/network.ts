import { objectsOf } from "./ndjson.ts";
import { type Call, type CallOptions, segment, type Transport } from "./transport.ts";
import type { NetworkDecision, NetworkInfo, NetworkPolicy } from "./wire.ts";

export interface NetworkLogOptions extends CallOptions {
  /** The last so many; 1000 are kept. */
  limit?: number | undefined;
  /** Goes on with what comes, after a line of type `live`. */
  follow?: boolean | undefined;
}

/** What one sandbox may reach, and what it tried. */
export class SandboxNetwork {
  readonly #transport: Transport;
  readonly #sandboxId: string;

  constructor(transport: Transport, sandboxId: string) {
    this.#transport = transport;
    this.#sandboxId = sandboxId;
  }

  async get(options?: CallOptions): Promise<NetworkInfo> {
    return await this.#transport.json(this.#call("GET", "", options));
  }

  /**
   * Counts at once: connections that it doesn't allow have ended when it resolves.
   * @throws {StacyVMError} reason `not_supported` for a sandbox that was made without a network
   */
  async set(policy: NetworkPolicy, options?: CallOptions): Promise<NetworkInfo> {
    const { mode, allow = [], deny = [], inject = [] } = policy;
    return await this.#transport.json({ ...this.#call("PUT", "", options), json: { mode, allow, deny, inject } });
  }

  /** Decisions, oldest first; leaving the loop ends what is followed. */
  async *log(options: NetworkLogOptions = {}): AsyncGenerator<NetworkDecision, void, undefined> {
    const query = { limit: options.limit, follow: options.follow ? true : undefined };
    const stream = await this.#transport.stream({ ...this.#call("GET", "/log", options), query });
    for await (const line of objectsOf(stream)) yield line as unknown as NetworkDecision;
  }

  #call(method: Call["method"], below: string, options: CallOptions | undefined): Call {
    const path = `/sandboxes/${segment(this.#sandboxId)}/network${below}`;
    return { method, path, options, sandboxId: this.#sandboxId };
  }
}
