import { z } from "zod";
import { defineOperation, json } from "../operation.ts";
import { durationText, oneOf, text, timestamp } from "../wire.ts";

const role = oneOf(["viewer", "api", "operator", "tenant_admin", "admin"]);

export const ApiKey = z
  .strictObject({
    id: z.string(),
    name: z.string(),
    prefix: z.string().meta({ description: "The key's first characters." }),
    role,
    tenant_id: z.string().optional(),
    created_by: z.string(),
    created_at: timestamp,
    expires_at: timestamp.optional().meta({ description: "Absent: it counts until it is revoked." }),
    last_used_at: timestamp.optional().meta({ description: "To the minute; absent before the first use." }),
    revoked_at: timestamp.optional(),
  })
  .meta({ id: "ApiKey" });
export type ApiKey = z.output<typeof ApiKey>;

export const ApiKeyRequest = z
  .strictObject({
    name: text(128).min(1, "is required").meta({ description: "What it is for." }),
    role: role.optional().meta({ description: "api where absent." }),
    tenant_id: text(256).optional().meta({ description: "Its holder is of this tenant, whatever X-Tenant-ID says." }),
    ttl: durationText.optional().meta({ description: "Go duration; absent: until it is revoked." }),
  })
  .meta({ id: "ApiKeyRequest" });

export const CreatedApiKey = z
  .strictObject({ api_key: ApiKey, key: z.string().meta({ description: "Shown here and never again." }) })
  .meta({ id: "CreatedApiKey" });

const row = { permission: "key:admin", auditClass: "admin", stream: "none" } as const;

export const apiKeyOperations = [
  defineOperation({
    ...row,
    id: "keys.list",
    method: "GET",
    path: "/api/v1/admin/api-keys",
    summary: "List named API keys, newest first, revoked ones among them",
    errors: [],
    answers: { 200: json(z.strictObject({ api_keys: z.array(ApiKey) })) },
  }),
  defineOperation({
    ...row,
    id: "keys.create",
    method: "POST",
    path: "/api/v1/admin/api-keys",
    summary: "Make a named API key, and show it this once",
    auditFields: { name: "public", role: "public", tenant_id: "public", ttl: "public" },
    errors: ["credentials_not_configured"],
    body: ApiKeyRequest,
    answers: { 201: json(CreatedApiKey) },
  }),
  defineOperation({
    ...row,
    id: "keys.revoke",
    method: "DELETE",
    path: "/api/v1/admin/api-keys/{id}",
    summary: "Revoke a named API key, at once",
    auditFields: { id: "public" },
    errors: ["key_not_found"],
    params: z.strictObject({ id: text(128).min(1) }),
    answers: { 200: json(ApiKey) },
  }),
] as const;
