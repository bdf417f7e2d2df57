import { StacyError } from "@stacyvm/contract";
import { Secret } from "../lib/secret.ts";
import type { RegistryCredentialRecord } from "../store/registry-credential-store.ts";
import type { Store } from "../store/store.ts";

/** What a tenant's credential is sealed for: moved to another row it doesn't open. */
const credentialPlace = (tenantId: string, registry: string): string =>
  JSON.stringify(["registry credential", tenantId, registry]);

interface Sealer {
  seal(value: Secret, about: string): string;
  open(sealed: string, about: string): Secret;
}

/** Rows that are read at once where all are gone through. */
const credentialPageMax = 100;

/** Tenants' credentials for registries, as the images ask for them. */
export const tenantRegistries = (
  { tenants, registryCredentials }: Pick<Store, "tenants" | "registryCredentials">,
  sealer: Sealer | undefined,
) => ({
  any: () => tenants.any(),

  /** Encrypts a password for its place; undefined where the server has no key for that. */
  seal:
    sealer &&
    ((password: Secret, tenantId: string, registry: string): string =>
      sealer.seal(password, credentialPlace(tenantId, registry))),

  /** All of them, with what each is sealed for. */
  async *sealedRows() {
    let page: readonly RegistryCredentialRecord[] = [];
    do {
      page = await registryCredentials.page(page.at(-1)?.id ?? "", credentialPageMax);
      for (const { id, tenantId, registry, sealed } of page) {
        const replace = (anew: string) => registryCredentials.replaceSealed(id, sealed, anew);
        yield { sealed, about: credentialPlace(tenantId, registry), replace };
      }
    } while (page.length === credentialPageMax);
  },

  credential: async (
    tenantId: string,
    registry: string,
  ): Promise<{ readonly id: string; readonly pair: Secret } | undefined> => {
    const found = await registryCredentials.find(tenantId, registry);
    if (found === undefined) return undefined;
    try {
      if (sealer === undefined) throw new Error("server.secrets_key is not set");
      const password = sealer.open(found.sealed, credentialPlace(tenantId, registry));
      return { id: found.id, pair: new Secret(`${found.username}:${password.reveal()}`) };
    } catch (cause) {
      throw new StacyError("image_pull_failed", `image: the tenant's credential for ${registry} can't be read`, {
        cause,
        remediation:
          "Give it anew, or have the operator set the server.secrets_key that it was encrypted with, or add that to server.previous_secrets_keys.",
      });
    }
  },
});
