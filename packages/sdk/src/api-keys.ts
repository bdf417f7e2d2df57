import { type Call, type CallOptions, segment, type Transport } from "./transport.ts";
import type { ApiKey, ApiKeyOptions, CreatedApiKey } from "./wire.ts";

/** Named keys, which an administrator makes and takes back. */
export class ApiKeyManager {
  readonly #transport: Transport;
  readonly #path: string;

  /** `path` is where they are, after `/api/v1`. */
  constructor(transport: Transport, path: string) {
    this.#transport = transport;
    this.#path = path;
  }

  /** Newest first, revoked ones among them. */
  async list(options?: CallOptions): Promise<ApiKey[]> {
    const answer = await this.#transport.json<{ api_keys: ApiKey[] }>(this.#call("GET", "", options));
    return answer.api_keys;
  }

  /** Makes one; the key itself is told here and never again. */
  async create(name: string, wanted: ApiKeyOptions = {}, options?: CallOptions): Promise<CreatedApiKey> {
    const { role, tenant_id, project_id, ttl } = wanted;
    return await this.#transport.json({
      ...this.#call("POST", "", options),
      json: { name, role, tenant_id, project_id, ttl },
    });
  }

  /** Counts at once on the server that did it, and within five seconds on others. */
  async revoke(id: string, options?: CallOptions): Promise<ApiKey> {
    return await this.#transport.json(this.#call("DELETE", `/${segment(id)}`, options));
  }

  #call(method: Call["method"], below: string, options: CallOptions | undefined): Call {
    return { method, path: this.#path + below, options };
  }
}
