import type { IncomingMessage } from "node:http";
import { type ApiKey, type apiKeyOperations, StacyError } from "@stacyvm/contract";
import type { CredentialAudit } from "../../audit/credential-audit.ts";
import type { ApiKeyRole, ApiKeys, NewApiKey } from "../../auth/api-keys.ts";
import { isWeakerOrSame } from "../../auth/roles.ts";
import type { Tenancy } from "../../auth/tenancy.ts";
import { placeOf } from "../../sandbox/scope.ts";
import type { ApiKeyFilter, ApiKeyRecord } from "../../store/store.ts";
import type { MemberName } from "../../store/tenant-store.ts";
import type { HandlersOf, OperationRequest } from "../handler.ts";
import type { Identity } from "../identity.ts";
import { callerOf, durationOf } from "./caller.ts";
import { rfc3339 } from "./wire-time.ts";

export interface ApiKeyHandlersOptions {
  readonly apiKeys: ApiKeys;
  readonly tenancy: Pick<Tenancy, "isMember">;
  readonly authConfigured: boolean;
  readonly credentialAudit: Pick<CredentialAudit, "note">;
  readonly addressOf: (request: IncomingMessage) => string;
}

type Asked = Pick<OperationRequest, "identity" | "raw">;

const timeAt = <const K extends string>(key: K, ms: number): { readonly [key in K]?: string } =>
  (ms === 0 ? {} : { [key]: rfc3339(ms) }) as { readonly [key in K]?: string };

const keyToWire = (record: ApiKeyRecord): ApiKey => ({
  id: record.id,
  name: record.name,
  prefix: record.prefix,
  role: record.role as ApiKeyRole,
  ...(record.tenantId === "" ? {} : { tenant_id: record.tenantId }),
  ...(record.projectId === "" ? {} : { project_id: record.projectId }),
  ...(record.memberId === "" ? {} : { member: record.memberId }),
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

/** Who governs a tenant makes keys for its programs, and sees all of them. */
const governs = ({ role }: Identity): boolean => role === "tenant_admin" || role === "admin";

const notAMember = (): StacyError => new StacyError("not_a_member", "keys of one's own are for members of a tenant");

/** Whose keys the caller has to do with: all of the place, or a member's own. A key makes no keys for a person. */
const whoseKeys = (identity: Identity): ApiKeyFilter & { readonly member: MemberName | undefined } => {
  const { scope, member, keyHeader } = identity;
  if (placeOf(scope).tenantId === "") throw notAMember();
  if (governs(identity)) return { ...scope, member: undefined };
  if (member === undefined || keyHeader !== "Authorization") throw notAMember();
  return { ...scope, memberIssuer: member.issuer, memberId: member.userId, member };
};

export const apiKeyHandlers = ({
  apiKeys,
  tenancy,
  authConfigured,
  credentialAudit,
  addressOf,
}: ApiKeyHandlersOptions): HandlersOf<typeof apiKeyOperations> => {
  const note = (action: "key.create" | "key.revoke", { id, name, role, tenantId }: ApiKeyRecord, by: Asked): void => {
    const from = { actor: callerOf(by.identity).actor, tenantId, address: addressOf(by.raw) };
    credentialAudit.note({ action, resource: id, detail: `role=${role} name=${JSON.stringify(name)}`, ...from });
  };

  const create = async (wanted: Omit<NewApiKey, "createdBy">, by: Asked) => {
    const { record, key } = await apiKeys.create({ ...wanted, createdBy: callerOf(by.identity).actor });
    note("key.create", record, by);
    return { status: 201, body: { api_key: keyToWire(record), key: key.reveal() } } as const;
  };

  const revoke = async (id: string, whose: ApiKeyFilter, by: Asked) => {
    const record = await apiKeys.revoke(id, whose);
    note("key.revoke", record, by);
    return { status: 200, body: keyToWire(record) } as const;
  };

  return {
    "keys.list": async () => ({ status: 200, body: { api_keys: (await apiKeys.list()).map(keyToWire) } }),

    "keys.create": async ({ body, identity, raw }) => {
      if (!authConfigured) {
        throw new StacyError("credentials_not_configured", "conflict: this server asks nobody for a key");
      }
      const wanted = {
        name: body.name.trim(),
        role: body.role ?? "api",
        tenantId: (body.tenant_id ?? "").trim(),
        projectId: (body.project_id ?? "").trim(),
        ttlMs: ttlOf(body.ttl),
      };
      return await create(wanted, { identity, raw });
    },

    "keys.revoke": async ({ params, ...by }) => await revoke(params.id, {}, by),

    "keys.listOwn": async ({ identity }) => {
      const { member: _, ...whose } = whoseKeys(identity);
      return { status: 200, body: { api_keys: (await apiKeys.list(whose)).map(keyToWire) } };
    },

    "keys.createOwn": async ({ body, identity, raw }) => {
      const { member } = whoseKeys(identity);
      const own = placeOf(identity.scope);
      const projectId = (body.project_id ?? "").trim() || own.projectId;
      if (own.projectId !== "" && projectId !== own.projectId) {
        throw new StacyError("project_not_found", "project not found");
      }
      const role = body.role ?? (governs(identity) ? "api" : (identity.role as ApiKeyRole));
      if (!isWeakerOrSame(role, identity.role)) {
        throw new StacyError("permission_denied", `a key may be no more than its maker, who is ${identity.role} here`);
      }
      // Who is a member by the token's claim alone is told by no row when that ends.
      if (member !== undefined && !(await tenancy.isMember(member, { ...own, projectId }))) throw notAMember();
      const wanted = {
        name: body.name.trim(),
        role,
        tenantId: own.tenantId,
        projectId,
        ...(member === undefined ? {} : { member }),
        ttlMs: ttlOf(body.ttl),
      };
      return await create(wanted, { identity, raw });
    },

    "keys.revokeOwn": async ({ params, ...by }) => {
      const { member: _, ...whose } = whoseKeys(by.identity);
      return await revoke(params.id, whose, by);
    },
  };
};
