import type { IncomingMessage } from "node:http";
import { StacyError, type StoredSecret, type secretOperations } from "@stacyvm/contract";
import type { CredentialAudit, CredentialNote } from "../../audit/credential-audit.ts";
import { Secret } from "../../lib/secret.ts";
import { placeOf } from "../../sandbox/scope.ts";
import type { Vault } from "../../secrets/vault.ts";
import type { SecretRecord } from "../../store/secret-store.ts";
import type { HandlersOf, OperationRequest } from "../handler.ts";
import { callerOf } from "./caller.ts";
import { rfc3339 } from "./wire-time.ts";

export interface SecretHandlersOptions {
  readonly vault: Pick<Vault, "save" | "list" | "delete" | "rotate">;
  readonly credentialAudit: Pick<CredentialAudit, "note">;
  readonly addressOf: (request: IncomingMessage) => string;
}

const toWire = (record: SecretRecord): StoredSecret => ({
  name: record.name,
  version: record.version,
  hosts: [...record.hosts],
  owners: [...record.owners],
  created_by: record.createdBy,
  created_at: rfc3339(record.createdAtMs),
  updated_at: rfc3339(record.updatedAtMs),
  ...(record.lastUsedAtMs === 0 ? {} : { last_used_at: rfc3339(record.lastUsedAtMs) }),
});

export const secretHandlers = (options: SecretHandlersOptions): HandlersOf<typeof secretOperations> => {
  const { vault, credentialAudit, addressOf } = options;

  const note = (
    { identity, raw }: Pick<OperationRequest, "identity" | "raw">,
    what: Pick<CredentialNote, "action" | "resource" | "detail">,
  ): void => {
    const { tenantId } = placeOf(identity.scope);
    credentialAudit.note({ ...what, actor: callerOf(identity).actor, tenantId, address: addressOf(raw) });
  };
  const inProject = ({ identity }: Pick<OperationRequest, "identity">): string => {
    const { projectId } = placeOf(identity.scope);
    return projectId === "" ? "" : `project=${projectId}`;
  };

  return {
    "secrets.list": async ({ identity }) => ({
      status: 200,
      body: { secrets: (await vault.list(placeOf(identity.scope))).map(toWire) },
    }),

    "secrets.save": async ({ params: { name }, body, identity, raw }) => {
      const content = { value: new Secret(body.value), hosts: body.hosts, owners: body.owners ?? [] };
      const saved = await vault.save({ ...placeOf(identity.scope), name }, content, callerOf(identity).actor);
      const detail = [`version=${saved.version}`, inProject({ identity }), `hosts=${saved.hosts.join(",")}`];
      note({ identity, raw }, { action: "secret.save", resource: name, detail: detail.filter(Boolean).join(" ") });
      return { status: 200, body: { secret: toWire(saved) } };
    },

    "secrets.delete": async ({ params: { name }, identity, raw }) => {
      if (!(await vault.delete({ ...placeOf(identity.scope), name }))) {
        throw new StacyError("secret_not_found", `not found: there is no secret ${JSON.stringify(name)}`);
      }
      note({ identity, raw }, { action: "secret.delete", resource: name, detail: inProject({ identity }) });
      return { status: 204 };
    },

    "secrets.rotate": async (request) => {
      const { resealed, kept } = await vault.rotate();
      note(request, { action: "secret.rotate", resource: "", detail: `resealed=${resealed} kept=${kept}` });
      return { status: 200, body: { resealed, kept } };
    },
  };
};
