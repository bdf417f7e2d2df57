import { z } from "zod";
import { defineOperation, json } from "../operation.ts";
import { text, timestamp } from "../wire.ts";

/** Longest name of a registry, user and password, characters. */
const registryMax = 259;
const usernameMax = 256;
const passwordMax = 4096;

/** As image names spell it. */
const registry = text(registryMax)
  .regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$/, "must be a host in lower case, with an optional port")
  .meta({ description: "As image names spell it: `registry.example.com:5000`, `docker.io` for Docker Hub." });

export const RegistryCredential = z
  .strictObject({
    registry: z.string(),
    username: z.string(),
    created_by: z.string(),
    created_at: timestamp,
  })
  .meta({ id: "RegistryCredential" });
export type RegistryCredential = z.output<typeof RegistryCredential>;

export const RegistryCredentialRequest = z
  .strictObject({
    username: text(usernameMax).regex(
      /^[^:\p{Cc}]+$/u,
      "is required, and holds neither a colon nor control characters",
    ),
    password: text(passwordMax)
      .regex(/^\P{Cc}+$/u, "is required, and holds no control characters")
      .meta({
        description: "A password or token. It is kept encrypted, and shown to nobody but the registry.",
      }),
  })
  .meta({ id: "RegistryCredentialRequest" });

const params = z.strictObject({ registry });

export const registryCredentialOperations = [
  defineOperation({
    permission: "tenant:write",
    auditClass: "read",
    stream: "none",
    id: "registries.list",
    method: "GET",
    path: "/api/v1/tenant/registry-credentials",
    summary: "List for which registries the own tenant has credentials, and whose; never passwords",
    errors: [],
    answers: { 200: json(z.strictObject({ registry_credentials: z.array(RegistryCredential) })) },
  }),
  defineOperation({
    permission: "tenant:write",
    auditClass: "write",
    stream: "none",
    id: "registries.save",
    method: "PUT",
    path: "/api/v1/tenant/registry-credentials/{registry}",
    summary: "Give the own tenant a credential for a registry, in place of the one it had",
    auditFields: { registry: "public", username: "public", password: "secret" },
    errors: ["secrets_key_missing", "state_conflict"],
    params,
    body: RegistryCredentialRequest,
    answers: { 200: json(z.strictObject({ registry_credential: RegistryCredential })) },
  }),
  defineOperation({
    permission: "tenant:write",
    auditClass: "write",
    stream: "none",
    id: "registries.delete",
    method: "DELETE",
    path: "/api/v1/tenant/registry-credentials/{registry}",
    summary: "Delete the own tenant's credential for a registry",
    auditFields: { registry: "public" },
    errors: ["registry_credential_not_found"],
    params,
    answers: { 204: {} },
  }),
] as const;
