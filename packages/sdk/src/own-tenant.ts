import { ApiKeyManager } from "./api-keys.ts";
import { MemberManager } from "./members.ts";
import { ProjectManager } from "./projects.ts";
import { RegistryCredentialManager } from "./registry-credentials.ts";
import type { CallOptions, Transport } from "./transport.ts";
import type { OwnTenant } from "./wire.ts";

/** The tenant that the caller acts in: the credential's own, or the one that the client's `tenant` names. */
export class OwnTenantManager {
  /** A member's own, which are never worth more than the member; for the tenant's administrator all of the tenant. They take no `tenant_id`. */
  readonly apiKeys: ApiKeyManager;
  readonly projects: ProjectManager;
  readonly members: MemberManager;
  readonly registryCredentials: RegistryCredentialManager;
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
    this.apiKeys = new ApiKeyManager(transport, "/api-keys");
    this.projects = new ProjectManager(transport, "/tenant");
    this.members = new MemberManager(transport, "/tenant");
    this.registryCredentials = new RegistryCredentialManager(transport);
  }

  /** Which tenant and project that is, and the caller's role there. Rejects with reason `tenant_not_found` for who is in none. */
  async get(options?: CallOptions): Promise<OwnTenant> {
    return await this.#transport.json({ method: "GET", path: "/tenant", options });
  }
}
