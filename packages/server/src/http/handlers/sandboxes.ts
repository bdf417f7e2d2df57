import { StacyError, type sandboxOperations } from "@stacyvm/contract";
import { formatDuration } from "../../lib/duration.ts";
import type { UseCases } from "../../orchestrator/use-cases.ts";
import type { SandboxRecord, SandboxState } from "../../sandbox/sandbox.ts";
import { transitions } from "../../sandbox/states.ts";
import type { HandlersOf } from "../handler.ts";
import { callerOf, durationOf } from "./caller.ts";
import { decodeCursor, encodeCursor, positionOf, sortOf } from "./cursor.ts";
import { fullSandbox, wireSandbox } from "./sandbox-wire.ts";
import { spawnFor, spawnRequest } from "./spawn.ts";
import { instantOf } from "./wire-time.ts";

export interface SandboxHandlersOptions {
  readonly useCases: UseCases;
  /** Asked for at each answer: the port may be known only after listening. */
  readonly previewDomain: () => string;
}

const stateOf = (text: string): SandboxState => {
  if (!Object.hasOwn(transitions, text)) {
    const known = Object.keys(transitions).join(", ");
    throw new StacyError("invalid_input", `invalid input: state must be one of ${known}`);
  }
  return text as SandboxState;
};

/** Page length where a cursor is given without a limit. */
const defaultPageSize = 100;

/** `key=value`, or a key that may have any. */
const labelOf = (text: string) => {
  const at = text.indexOf("=");
  return at < 0 ? { name: text } : { name: text.slice(0, at), value: text.slice(at + 1) };
};

type View = "basic" | "full" | undefined;

export const sandboxHandlers = ({
  useCases,
  previewDomain,
}: SandboxHandlersOptions): HandlersOf<typeof sandboxOperations> => {
  const shown = (record: SandboxRecord, view: View) =>
    view === "full" ? fullSandbox(record, previewDomain()) : wireSandbox(record, previewDomain());
  return {
    "sandboxes.spawn": async ({ body, query, ...context }) =>
      await spawnFor({ useCases, previewDomain })(body, query.view, context),
    "sandboxes.admission": async ({ body, identity }) => {
      const admission = await useCases.admit(spawnRequest(body, identity), body.template, callerOf(identity));
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
        ...(query.name === undefined ? {} : { name: query.name }),
        ...(query.label === undefined ? {} : { labels: query.label.map(labelOf) }),
        ...(query.created_before === undefined
          ? {}
          : { createdBeforeMs: instantOf("created_before", query.created_before) }),
        ...(query.created_after === undefined
          ? {}
          : { createdAfterMs: instantOf("created_after", query.created_after) }),
      };
      const sort = sortOf(query.sort);
      const paged = query.limit !== undefined || query.cursor !== undefined;
      const limit = query.limit ?? defaultPageSize;
      const page = {
        sort,
        // One more than asked for tells whether a next page exists.
        ...(paged ? { limit: limit + 1 } : {}),
        ...(query.cursor === undefined ? {} : { after: decodeCursor(query.cursor, query.sort) }),
      };
      const isFull = query.view === "full";
      const found = isFull
        ? await useCases.listRecords(filter, callerOf(identity), page)
        : await useCases.list(filter, callerOf(identity), page);
      const rows = paged ? found.slice(0, limit) : found;
      const last = rows.at(-1);
      const more = found.length > rows.length && last !== undefined;
      return {
        status: 200,
        body: isFull
          ? (rows as readonly SandboxRecord[]).map((record) => fullSandbox(record, previewDomain()))
          : rows.map((record) => wireSandbox(record, previewDomain())),
        ...(more ? { headers: { "X-Next-Cursor": encodeCursor(positionOf(last, sort), query.sort) } } : {}),
      };
    },
    "sandboxes.prune": async ({ identity, signal }) => ({
      status: 200,
      body: { pruned: await useCases.prune(callerOf(identity), signal) },
    }),
    "sandboxes.get": async ({ params, query, identity }) => ({
      status: 200,
      body: shown(await useCases.get(params.id, callerOf(identity)), query.view),
    }),
    "sandboxes.destroy": async ({ params, identity, signal }) => {
      await useCases.destroy(params.id, callerOf(identity), signal);
      return { status: 200, body: { status: "destroyed" } };
    },
    "sandboxes.extend": async ({ params, query, body, identity }) => {
      if (body.ttl === undefined || body.ttl === "") throw new StacyError("invalid_input", "ttl is required");
      const ttlMs = durationOf(body.ttl, "invalid ttl format");
      if (ttlMs <= 0) throw new StacyError("invalid_input", "ttl must be positive");
      const record = await useCases.extend(params.id, ttlMs, callerOf(identity));
      return { status: 200, body: shown(record, query.view) };
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
  };
};
