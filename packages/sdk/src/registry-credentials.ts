import { type Call, type CallOptions, segment, type Transport } from "./transport.ts";
import type { RegistryCredential } from "./wire.ts";

/** What the caller's tenant shows to image registries, for administrators of the tenant. */
export class RegistryCredentialManager {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Never with their passwords. */
  async list(options?: CallOptions): Promise<RegistryCredential[]> {
    const call = credentialCall("GET", "", options);
    return (await this.#transport.json<{ registry_credentials: RegistryCredential[] }>(call)).registry_credentials;
  }

  /**
   * Keeps one, encrypted, in place of the one that the tenant had for the registry.
   * @param registry as image names spell it: `registry.example.com:5000`, `docker.io` for Docker Hub
   * @param password a password or token, shown to nobody but the registry
   */
  async save(registry: string, username: string, password: string, options?: CallOptions): Promise<RegistryCredential> {
    const call = { ...credentialCall("PUT", `/${segment(registry)}`, options), json: { username, password } };
    return (await this.#transport.json<{ registry_credential: RegistryCredential }>(call)).registry_credential;
  }

  async delete(registry: string, options?: CallOptions): Promise<void> {
    await this.#transport.done(credentialCall("DELETE", `/${segment(registry)}`, options));
  }
}

const credentialCall = (method: Call["method"], below: string, options: CallOptions | undefined): Call => ({
  method,
  path: `/tenant/registry-credentials${below}`,
  options,
});
