import type { CallOptions, Transport } from "./transport.ts";
import type { LiveSettings } from "./wire.ts";

/** The settings that may change while the server runs, for its administrators. */
export class ConfigManager {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  async get(options?: CallOptions): Promise<LiveSettings> {
    return await this.#transport.json({ method: "GET", path: "/config", options });
  }

  /**
   * Changes all of them or none, at once and until the server's restart. Rejects with what is wrong with each in `details.settings`.
   * @param settings by their path, such as `defaults.max_ttl`, or nested as in the configuration file
   */
  async set(settings: Readonly<Record<string, unknown>>, options?: CallOptions): Promise<LiveSettings> {
    return await this.#transport.json({ method: "PATCH", path: "/config", json: settings, options });
  }
}
