import { type Call, type CallOptions, segment, type Transport } from "./transport.ts";
import type { OwnerQuota, QuotaLimits, QuotaSummary, QuotaUsage } from "./wire.ts";

/** Limits per owner. */
export class QuotaManager {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  async list(options?: CallOptions): Promise<OwnerQuota[]> {
    return await this.#transport.json(quotaCall("GET", "", options));
  }

  async summary(options?: CallOptions): Promise<QuotaSummary> {
    return await this.#transport.json(quotaCall("GET", "/summary", options));
  }

  async get(owner: string, options?: CallOptions): Promise<OwnerQuota> {
    return await this.#transport.json(quotaCall("GET", `/${segment(owner)}`, options));
  }

  /** Replaces the owner's limits; what is left out inherits the server's. */
  async set(owner: string, limits: QuotaLimits, options?: CallOptions): Promise<OwnerQuota> {
    return await this.#transport.json({
      ...quotaCall("PUT", `/${segment(owner)}`, options),
      json: limits,
    });
  }

  async delete(owner: string, options?: CallOptions): Promise<void> {
    await this.#transport.done(quotaCall("DELETE", `/${segment(owner)}`, options));
  }

  /** What the owner uses and the limits that hold for it. */
  async usage(owner: string, options?: CallOptions): Promise<QuotaUsage> {
    return await this.#transport.json(quotaCall("GET", `/${segment(owner)}/usage`, options));
  }
}

const quotaCall = (method: Call["method"], below: string, options: CallOptions | undefined): Call => ({
  method,
  path: `/quotas${below}`,
  options,
});
