import { type ApiKey, type apiKeyOperations, StacyError } from "@stacyvm/contract";
import type { ApiKeyRole, ApiKeys } from "../../auth/api-keys.ts";
import type { ApiKeyRecord } from "../../store/store.ts";
import type { HandlersOf } from "../handler.ts";
import { callerOf, durationOf } from "./caller.ts";
import { rfc3339 } from "./wire-time.ts";

export interface ApiKeyHandlersOptions {
  readonly apiKeys: ApiKeys;
  readonly authConfigured: boolean;
}

const timeAt = <const K extends string>(key: K, ms: number): { readonly [key in K]?: string } =>
  (ms === 0 ? {} : { [key]: rfc3339(ms) }) as { readonly [key in K]?: string };

const keyToWire = (record: ApiKeyRecord): ApiKey => ({
  id: record.id,
  name: record.name,
  prefix: record.prefix,
  role: record.role as ApiKeyRole,
  ...(record.tenantId === "" ? {} : { tenant_id: record.tenantId }),
  created_by: record.createdBy,
  created_at: rfc3339(record.createdAtMs),
  ...timeAt("expires_at", record.expiresAtMs),
  ...timeAt("last_used_at", record.lastUsedAtMs),
  ...timeAt("revoked_at", record.revokedAtMs),
});

const ttlOf = (text: string | undefined): number => {
  if (text === undefined || text === "") return 0;
  const ttlMs = durationOf(text, "invalid input: parsing ttl");
  if (ttlMs <= 0) throw new StacyError("invalid_input", "invalid input: ttl must be positive");
  return ttlMs;
};

export const apiKeyHandlers = ({
  apiKeys,
  authConfigured,
}: ApiKeyHandlersOptions): HandlersOf<typeof apiKeyOperations> => ({
  "keys.list": async () => ({ status: 200, body: { api_keys: (await apiKeys.list()).map(keyToWire) } }),

  "keys.create": async ({ body, identity }) => {
    if (!authConfigured) {
      throw new StacyError("credentials_not_configured", "conflict: this server asks nobody for a key");
    }
    const { record, key } = await apiKeys.create({
      name: body.name.trim(),
      role: body.role ?? "api",
      tenantId: (body.tenant_id ?? "").trim(),
      ttlMs: ttlOf(body.ttl),
      createdBy: callerOf(identity).actor,
    });
    return { status: 201, body: { api_key: keyToWire(record), key: key.reveal() } };
  },

  "keys.revoke": async ({ params }) => ({ status: 200, body: keyToWire(await apiKeys.revoke(params.id)) }),
});
