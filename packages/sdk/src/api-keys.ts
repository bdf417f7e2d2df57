import { type Call, type CallOptions, segment, type Transport } from "./transport.ts";
import type { ApiKey, ApiKeyOptions, CreatedApiKey } from "./wire.ts";

/** Named keys, which an administrator makes and takes back. */
export class ApiKeyManager {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Newest first, revoked ones among them. */
  async list(options?: CallOptions): Promise<ApiKey[]> {
    const answer = await this.#transport.json<{ api_keys: ApiKey[] }>(keyCall("GET", "", options));
    return answer.api_keys;
  }

  /** Makes one; the key itself is told here and never again. */
  async create(name: string, wanted: ApiKeyOptions = {}, options?: CallOptions): Promise<CreatedApiKey> {
    const { role, tenant_id, project_id, ttl } = wanted;
    return await this.#transport.json({
      ...keyCall("POST", "", options),
      json: { name, role, tenant_id, project_id, ttl },
    });
  }

  /** Counts at once on the server that did it, and within five seconds on others. */
  async revoke(id: string, options?: CallOptions): Promise<ApiKey> {
    return await this.#transport.json(keyCall("DELETE", `/${segment(id)}`, options));
  }
}

const keyCall = (method: Call["method"], below: string, options: CallOptions | undefined): Call => ({
  method,
  path: `/admin/api-keys${below}`,
  options,
});
