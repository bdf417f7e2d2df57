import { MemberManager } from "./members.ts";
import { ProjectManager } from "./projects.ts";
import { type Call, type CallOptions, segment, type Transport } from "./transport.ts";
import type { Tenant, TenantChangeOptions, TenantOptions } from "./wire.ts";

export interface TenantDeleteOptions extends CallOptions {
  /** Ends sandboxes, templates and keys of it first; that may take longer than the client's timeout, and goes on where it is asked for again. */
  cascade?: boolean | undefined;
}

/** Tenants, for administrators of the server; who is in one has `Client.ownTenant`. */
export class TenantManager {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Newest first. */
  async list(options?: CallOptions): Promise<Tenant[]> {
    const answer = await this.#transport.json<{ tenants: Tenant[] }>(tenantCall("GET", "", options));
    return answer.tenants;
  }

  /** From the first on, callers without a tenant see what is of none. Rejects with reason `already_exists` where the id is taken. */
  async create(name: string, wanted: TenantOptions = {}, options?: CallOptions): Promise<Tenant> {
    const { id, owner_id, settings } = wanted;
    const json = { id, name, owner_id, settings };
    return await this.#tenant({ ...tenantCall("POST", "", options), json });
  }

  async get(id: string, options?: CallOptions): Promise<Tenant> {
    return await this.#tenant(tenantCall("GET", `/${segment(id)}`, options));
  }

  /** Changes what is given; the rest stays. */
  async update(id: string, changes: TenantChangeOptions, options?: CallOptions): Promise<Tenant> {
    const { name, owner_id, settings } = changes;
    const json = { name, owner_id, settings };
    return await this.#tenant({ ...tenantCall("PUT", `/${segment(id)}`, options), json });
  }

  /**
   * Deletes it with its projects, members and quotas. Rejects with reason `tenant_in_use` while sandboxes, templates or keys are left; `details`
   * counts them.
   */
  async delete(id: string, options: TenantDeleteOptions = {}): Promise<void> {
    const { cascade, ...rest } = options;
    await this.#transport.done({ ...tenantCall("DELETE", `/${segment(id)}`, rest), query: { cascade } });
  }

  /** Of one tenant. */
  projects(tenant: string): ProjectManager {
    return new ProjectManager(this.#transport, `/admin/tenants/${segment(tenant)}`);
  }

  /** Of one tenant and its projects. */
  members(tenant: string): MemberManager {
    return new MemberManager(this.#transport, `/admin/tenants/${segment(tenant)}`);
  }

  async #tenant(call: Call): Promise<Tenant> {
    return (await this.#transport.json<{ tenant: Tenant }>(call)).tenant;
  }
}

const tenantCall = (method: Call["method"], below: string, options: CallOptions | undefined): Call => ({
  method,
  path: `/admin/tenants${below}`,
  options,
});
