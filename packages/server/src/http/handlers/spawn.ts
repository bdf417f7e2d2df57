import { type Sandbox, type SpawnRequest as SpawnBody, StacyError } from "@stacyvm/contract";
import type { SpawnRequest } from "../../orchestrator/spawn-record.ts";
import type { UseCases } from "../../orchestrator/use-cases.ts";
import { readSecretUses } from "../../sandbox/secret-use.ts";
import type { OperationRequest } from "../handler.ts";
import type { Identity } from "../identity.ts";
import { callerOf, durationOf, ownerOf } from "./caller.ts";
import { policyOf } from "./network.ts";
import { fullSandbox, wireSandbox } from "./sandbox-wire.ts";

/** What a spawn answers: 200 for a sandbox that was there already. */
export interface SpawnAnswer {
  readonly status: 200 | 201;
  readonly body: Sandbox;
  readonly headers: Readonly<Record<string, string>>;
}

/** Of the request that asks for a spawn, whichever operation's it is. */
export type SpawnContext = Pick<OperationRequest, "identity" | "signal" | "raw">;

/** Spawns for an answer; templates do it too. */
export type Spawn = (
  body: SpawnBody,
  view: "basic" | "full" | undefined,
  context: SpawnContext,
) => Promise<SpawnAnswer>;

export const spawnRequest = (body: SpawnBody, identity: Identity): SpawnRequest => {
  const ttlMs =
    body.ttl === undefined || body.ttl === "" ? undefined : durationOf(body.ttl, "invalid input: parsing TTL");
  if (ttlMs !== undefined && ttlMs <= 0) throw new StacyError("invalid_input", "invalid input: ttl must be positive");
  return {
    ownerId: ownerOf(identity, body.owner_id),
    ...(body.image === undefined ? {} : { image: body.image }),
    ...(body.provider === undefined ? {} : { provider: body.provider }),
    ...(body.memory_mb === undefined ? {} : { memoryMb: body.memory_mb }),
    ...(body.vcpus === undefined ? {} : { vcpus: body.vcpus }),
    ...(body.disk_mb === undefined ? {} : { diskMb: body.disk_mb }),
    ...(ttlMs === undefined ? {} : { ttlMs }),
    ...(body.metadata === undefined ? {} : { metadata: body.metadata }),
    ...(body.env === undefined ? {} : { env: body.env }),
    ...(body.workdir === undefined ? {} : { workdir: body.workdir }),
    ...(body.user === undefined ? {} : { user: body.user }),
    ...(body.security === undefined ? {} : { security: body.security }),
    ...(body.network_mode === undefined ? {} : { networkMode: body.network_mode }),
    ...(body.network === undefined ? {} : { network: policyOf(body.network) }),
    ...(body.secrets === undefined ? {} : { secrets: readSecretUses(body.secrets) }),
    ...(body.labels === undefined ? {} : { labels: body.labels }),
    ...(body.name === undefined ? {} : { name: body.name }),
    ...(body.if_exists === undefined ? {} : { ifExists: body.if_exists }),
  };
};

/** The Idempotency-Key; repeated ones are refused, since only the caller knows which counts. Throws invalid_input. */
const keyOf = ({ rawHeaders }: SpawnContext["raw"]): string | undefined => {
  const keys = rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === "idempotency-key");
  const [key] = keys;
  if (key === undefined) return undefined;
  if (keys.length === 1 && /^[\x20-\x7e]{1,255}$/.test(key)) return key;
  throw new StacyError(
    "invalid_input",
    "invalid input: Idempotency-Key must be given once, 1 to 255 printable ASCII characters",
  );
};

export const spawnFor =
  ({ useCases, previewDomain }: { readonly useCases: UseCases; readonly previewDomain: () => string }): Spawn =>
  async (body, view, { identity, signal, raw }) => {
    const request = spawnRequest(body, identity);
    const spawned = await useCases.spawn(request, body.template, callerOf(identity), signal, keyOf(raw));
    const { record, isNew, isReplay } = spawned;
    return {
      status: isNew ? 201 : 200,
      body: view === "full" ? fullSandbox(record, previewDomain()) : wireSandbox(record, previewDomain()),
      headers: {
        "X-StacyVM-Security": record.security,
        ...(isReplay ? { "Idempotency-Replayed": "true" } : {}),
      },
    };
  };
