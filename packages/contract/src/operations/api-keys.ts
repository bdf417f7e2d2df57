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
    project_id: z.string().optional(),
    member: z.string().optional().meta({ description: "Who made it for themself: it is worth no more than they are." }),
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
    project_id: text(256).optional().meta({ description: "And sees this project of it alone." }),
    ttl: durationText.optional().meta({ description: "Go duration; absent: until it is revoked." }),
  })
  .meta({ id: "ApiKeyRequest" });

export const OwnApiKeyRequest = ApiKeyRequest.omit({ tenant_id: true }).meta({ id: "OwnApiKeyRequest" });

export const CreatedApiKey = z
  .strictObject({ api_key: ApiKey, key: z.string().meta({ description: "Shown here and never again." }) })
  .meta({ id: "CreatedApiKey" });

const row = { permission: "key:admin", auditClass: "admin", stream: "none" } as const;

const own = { permission: "key:own", stream: "none" } as const;

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
    auditFields: { name: "public", role: "public", tenant_id: "public", project_id: "public", ttl: "public" },
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
  defineOperation({
    ...own,
    id: "keys.listOwn",
    method: "GET",
    path: "/api/v1/api-keys",
    summary: "List one's own API keys; a tenant's administrator sees all of the tenant's",
    auditClass: "read",
    errors: ["not_a_member"],
    answers: { 200: json(z.strictObject({ api_keys: z.array(ApiKey) })) },
  }),
  defineOperation({
    ...own,
    id: "keys.createOwn",
    method: "POST",
    path: "/api/v1/api-keys",
    summary: "Make an API key for oneself, or, as a tenant's administrator, for its programs",
    auditClass: "write",
    auditFields: { name: "public", role: "public", project_id: "public", ttl: "public" },
    errors: ["not_a_member"],
    body: OwnApiKeyRequest,
    answers: { 201: json(CreatedApiKey) },
  }),
  defineOperation({
    ...own,
    id: "keys.revokeOwn",
    method: "DELETE",
    path: "/api/v1/api-keys/{id}",
    summary: "Revoke one of those keys, at once",
    auditClass: "write",
    auditFields: { id: "public" },
    errors: ["not_a_member", "key_not_found"],
    params: z.strictObject({ id: text(128).min(1) }),
    answers: { 200: json(ApiKey) },
  }),
] as const;
