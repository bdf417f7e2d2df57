import type { IncomingMessage } from "node:http";
import { type RegistryCredential, type registryCredentialOperations, StacyError } from "@stacyvm/contract";
import type { CredentialAudit } from "../../audit/credential-audit.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Ids } from "../../lib/id.ts";
import { Secret } from "../../lib/secret.ts";
import { placeOf } from "../../sandbox/scope.ts";
import type { RegistryCredentialRecord, RegistryCredentialStore } from "../../store/registry-credential-store.ts";
import type { HandlersOf, OperationRequest } from "../handler.ts";
import { callerOf } from "./caller.ts";
import { wholeTenant } from "./own-place.ts";
import { rfc3339 } from "./wire-time.ts";

export interface RegistryCredentialHandlersOptions {
  readonly store: { readonly registryCredentials: RegistryCredentialStore };
  /** Encrypts a credential for its place; undefined: the server has no key for that. */
  readonly sealCredential: ((value: Secret, tenantId: string, registry: string) => string) | undefined;
  readonly clock: Clock;
  readonly ids: Pick<Ids, "registryCredential">;
  readonly credentialAudit: Pick<CredentialAudit, "note">;
  readonly addressOf: (request: IncomingMessage) => string;
}

const toWire = (record: RegistryCredentialRecord): RegistryCredential => ({
  registry: record.registry,
  username: record.username,
  created_by: record.createdBy,
  created_at: rfc3339(record.createdAtMs),
});

export const registryCredentialHandlers = (
  options: RegistryCredentialHandlersOptions,
): HandlersOf<typeof registryCredentialOperations> => {
  const { clock, ids, sealCredential, credentialAudit, addressOf } = options;
  const { registryCredentials } = options.store;

  const note = (
    action: "registry_credential.save" | "registry_credential.delete",
    { identity, raw }: Pick<OperationRequest, "identity" | "raw">,
    registry: string,
  ): void => {
    const { tenantId } = placeOf(identity.scope);
    const { actor } = callerOf(identity);
    credentialAudit.note({ action, actor, tenantId, resource: registry, address: addressOf(raw) });
  };

  return {
    "registries.list": async ({ identity }) => {
      const kept = await registryCredentials.list(wholeTenant(identity));
      return { status: 200, body: { registry_credentials: kept.map(toWire) } };
    },

    "registries.save": async ({ params: { registry }, body, identity, raw }) => {
      const tenantId = wholeTenant(identity);
      if (sealCredential === undefined) {
        throw new StacyError("secrets_key_missing", "conflict: this server has no key to encrypt the credential with");
      }
      const record = {
        id: ids.registryCredential(),
        tenantId,
        registry,
        username: body.username,
        sealed: sealCredential(new Secret(body.password), tenantId, registry),
        createdBy: callerOf(identity).actor,
        createdAtMs: clock.now(),
      };
      await registryCredentials.save(record);
      note("registry_credential.save", { identity, raw }, registry);
      return { status: 200, body: { registry_credential: toWire(record) } };
    },

    "registries.delete": async ({ params: { registry }, identity, raw }) => {
      if (!(await registryCredentials.delete(wholeTenant(identity), registry))) {
        throw new StacyError(
          "registry_credential_not_found",
          `not found: the tenant has no credential for ${JSON.stringify(registry)}`,
        );
      }
      note("registry_credential.delete", { identity, raw }, registry);
      return { status: 204 };
    },
  };
};
