import { type Call, type CallOptions, segment, type Transport } from "./transport.ts";
import type { SecretOptions, SecretRotation, StoredSecret } from "./wire.ts";

/** Secrets of the caller's own place. A value goes in and never comes out: it is sent to its hosts alone. */
export class SecretManager {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** By name, without values. */
  async list(options?: CallOptions): Promise<StoredSecret[]> {
    const answer = await this.#transport.json<{ secrets: StoredSecret[] }>(secretCall("GET", "", options));
    return answer.secrets;
  }

  /**
   * Sets it, or its next version; hosts and owners are set as a whole too.
   * @param name letters, digits and `_`, no digit first
   * @param value 1 to 32,768 bytes of one line
   */
  async set(name: string, value: string, wanted: SecretOptions, options?: CallOptions): Promise<StoredSecret> {
    const { hosts, owners } = wanted;
    const call = { ...secretCall("PUT", `/${segment(name)}`, options), json: { value, hosts, owners } };
    return (await this.#transport.json<{ secret: StoredSecret }>(call)).secret;
  }

  /** Rejects with reason `secret_not_found` where there is none. */
  async delete(name: string, options?: CallOptions): Promise<void> {
    await this.#transport.done(secretCall("DELETE", `/${segment(name)}`, options));
  }

  /** Encrypts everything anew that isn't under the server's current key; for administrators of the server. */
  async rotate(options?: CallOptions): Promise<SecretRotation> {
    return await this.#transport.json(secretCall("POST", "/rotate", options));
  }
}

const secretCall = (method: Call["method"], below: string, options: CallOptions | undefined): Call => ({
  method,
  path: `/secrets${below}`,
  options,
});
