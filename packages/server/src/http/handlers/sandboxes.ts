import { type SpawnRequest as SpawnBody, StacyError, type sandboxOperations } from "@stacyvm/contract";
import { formatDuration } from "../../lib/duration.ts";
import type { SpawnRequest } from "../../orchestrator/spawn.ts";
import type { UseCases } from "../../orchestrator/use-cases.ts";
import type { SandboxState } from "../../sandbox/sandbox.ts";
import { transitions } from "../../sandbox/states.ts";
import type { HandlersOf } from "../handler.ts";
import type { Identity } from "../identity.ts";
import { callerOf, durationOf, ownerOf } from "./caller.ts";
import { decodeCursor, encodeCursor } from "./cursor.ts";
import { wireSandbox } from "./sandbox-wire.ts";
import type { Spawn } from "./templates.ts";

export interface SandboxHandlersOptions {
  readonly useCases: UseCases;
  /** Asked for at each answer: the port may be known only after listening. */
  readonly previewDomain: () => string;
}

const spawnRequest = (body: SpawnBody, identity: Identity): SpawnRequest => {
  const ttlMs =
    body.ttl === undefined || body.ttl === "" ? undefined : durationOf(body.ttl, "invalid input: parsing TTL");
  if (ttlMs !== undefined && ttlMs <= 0) throw new StacyError("invalid_input", "invalid input: ttl must be positive");
  return {
    ownerId: ownerOf(identity, body.owner_id),
    ...(body.image === undefined ? {} : { image: body.image }),
    ...(body.provider === undefined ? {} : { provider: body.provider }),
    ...(body.memory_mb === undefined ? {} : { memoryMb: body.memory_mb }),
    ...(body.vcpus === undefined ? {} : { vcpus: body.vcpus }),
    ...(ttlMs === undefined ? {} : { ttlMs }),
    ...(body.metadata === undefined ? {} : { metadata: body.metadata }),
  };
};

const stateOf = (text: string): SandboxState => {
  if (!Object.hasOwn(transitions, text)) {
    const known = Object.keys(transitions).join(", ");
    throw new StacyError("invalid_input", `invalid input: state must be one of ${known}`);
  }
  return text as SandboxState;
};

/** Page length where a cursor is given without a limit. */
const defaultPageSize = 100;

/** Spawns for an answer; templates do it too. */
export const spawnFor =
  ({ useCases, previewDomain }: SandboxHandlersOptions): Spawn =>
  async (body, { identity, signal }) => {
    const record = await useCases.spawn(spawnRequest(body, identity), body.template, callerOf(identity), signal);
    return wireSandbox(record, previewDomain());
  };

export const sandboxHandlers = ({
  useCases,
  previewDomain,
}: SandboxHandlersOptions): HandlersOf<typeof sandboxOperations> => ({
  "sandboxes.spawn": async ({ body, ...context }) => ({
    status: 201,
    body: await spawnFor({ useCases, previewDomain })(body, context),
  }),
  "sandboxes.admission": async ({ body, identity }) => {
    const admission = await useCases.admit(spawnRequest(body, identity), body.template);
    return {
      status: 200,
      body: {
        allowed: admission.allowed,
        queueable: admission.queueable,
        ...(admission.reason === undefined ? {} : { reason: admission.reason }),
        active_sandboxes: admission.activeSandboxes,
        max_sandboxes: admission.maxSandboxes,
        ...(admission.activeOwnerSandboxes === 0 ? {} : { active_owner_sandboxes: admission.activeOwnerSandboxes }),
        ...(admission.maxOwnerSandboxes === 0 ? {} : { max_owner_sandboxes: admission.maxOwnerSandboxes }),
        ...(admission.maxTtlMs === 0 ? {} : { max_ttl: formatDuration(admission.maxTtlMs) }),
      },
    };
  },
  "sandboxes.list": async ({ query, identity }) => {
    const filter = {
      ...(query.state === undefined ? {} : { states: [stateOf(query.state)] }),
      ...(query.provider === undefined ? {} : { provider: query.provider }),
      ...(query.owner === undefined ? {} : { ownerId: query.owner }),
    };
    if (query.limit === undefined && query.cursor === undefined) {
      const all = await useCases.list(filter, callerOf(identity));
      return { status: 200, body: all.map((record) => wireSandbox(record, previewDomain())) };
    }
    const limit = query.limit ?? defaultPageSize;
    const after = query.cursor === undefined ? {} : { after: decodeCursor(query.cursor) };
    // One more than asked for tells whether a next page exists.
    const found = await useCases.list(filter, callerOf(identity), { limit: limit + 1, ...after });
    const records = found.slice(0, limit);
    const last = records.at(-1);
    const more = found.length > limit && last !== undefined;
    return {
      status: 200,
      body: records.map((record) => wireSandbox(record, previewDomain())),
      ...(more ? { headers: { "X-Next-Cursor": encodeCursor(last) } } : {}),
    };
  },
  "sandboxes.prune": async ({ identity, signal }) => ({
    status: 200,
    body: { pruned: await useCases.prune(callerOf(identity), signal) },
  }),
  "sandboxes.get": async ({ params, identity }) => ({
    status: 200,
    body: wireSandbox(await useCases.get(params.id, callerOf(identity)), previewDomain()),
  }),
  "sandboxes.destroy": async ({ params, identity, signal }) => {
    await useCases.destroy(params.id, callerOf(identity), signal);
    return { status: 200, body: { status: "destroyed" } };
  },
  "sandboxes.extend": async ({ params, body, identity }) => {
    if (body.ttl === undefined || body.ttl === "") throw new StacyError("invalid_input", "ttl is required");
    const ttlMs = durationOf(body.ttl, "invalid ttl format");
    if (ttlMs <= 0) throw new StacyError("invalid_input", "ttl must be positive");
    const record = await useCases.extend(params.id, ttlMs, callerOf(identity));
    return { status: 200, body: wireSandbox(record, previewDomain()) };
  },
  "sandboxes.logs": async ({ params, query, identity, signal }) => ({
    status: 200,
    body: [...(await useCases.logs(params.id, query.lines, callerOf(identity), signal))],
  }),
  "sandboxes.stats": async ({ params, identity, signal }) => {
    const usage = await useCases.stats(params.id, callerOf(identity), signal);
    if (usage === undefined) return { status: 200, body: { supported: false } };
    return {
      status: 200,
      body: {
        supported: true,
        cpu_pct: usage.cpuPct,
        mem_bytes: usage.memoryBytes,
        mem_limit_bytes: usage.memoryLimitBytes,
      },
    };
  },
});
