import { StacyError } from "@stacyvm/contract";
import { Secret } from "../lib/secret.ts";
import type { Store } from "../store/store.ts";

/** What a tenant's credential is sealed for: moved to another row it doesn't open. */
const credentialPlace = (tenantId: string, registry: string): string =>
  JSON.stringify(["registry credential", tenantId, registry]);

interface Sealer {
  seal(value: Secret, about: string): string;
  open(sealed: string, about: string): Secret;
}

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
        remediation: "Give it anew, or have the operator set the server.secrets_key that it was encrypted with.",
      });
    }
  },
});
