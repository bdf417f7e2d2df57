import { StacyError } from "@stacyvm/contract";
import type { SandboxRecord, SandboxSummary } from "../sandbox/sandbox.ts";
import { placeOf } from "../sandbox/scope.ts";
import type { SandboxFilter, SandboxPage } from "../store/store.ts";
import { admit } from "./admit.ts";
import type { Caller, Context } from "./context.ts";
import { destroy } from "./destroy.ts";
import { type ExecRequest, exec, execStream } from "./exec.ts";
import { extend } from "./extend.ts";
import { fileLinkUseCases } from "./file-links.ts";
import { fileOperations } from "./files.ts";
import { findSandbox, findServing } from "./find.ts";
import { folderOperations } from "./folders.ts";
import { getOrSpawn, type Spawned } from "./named-spawn.ts";
import { networkUseCases } from "./network.ts";
import { portUseCases } from "./ports.ts";
import { processUseCases } from "./processes.ts";
import { prune } from "./prune.ts";
import { spawn } from "./spawn.ts";
import { spawnOnce } from "./spawn-once.ts";
import type { SpawnQueue } from "./spawn-queue.ts";
import type { SpawnRequest } from "./spawn-record.ts";
import { applyTemplate, findTemplate } from "./templates.ts";
import { tenantUseCases } from "./tenants.ts";
import { uploadUseCases } from "./uploads.ts";

/** Everything a caller can ask for, bound to what it needs. Doors (HTTP now) call these and nothing below them. */
export function createUseCases({ context, queue }: { readonly context: Context; readonly queue: SpawnQueue }) {
  const withTemplate = async (
    request: SpawnRequest,
    template: string | undefined,
    { scope }: Caller,
  ): Promise<SpawnRequest> =>
    template === undefined || template === ""
      ? request
      : applyTemplate(await findTemplate(context, placeOf(scope), template), request, context.spawnDefaults.image);

  const once = spawnOnce(context);

  return {
    admit: async (request: SpawnRequest, template: string | undefined, caller: Caller) => {
      const wanted = await withTemplate(request, template, caller);
      const ttlMs = wanted.ttlMs ?? context.limits.defaultTtlMs;
      return await admit(context, { ownerId: wanted.ownerId, ttlMs, provider: wanted.provider ?? "" }, caller);
    },
    /** Under a key the same request makes one sandbox however often it comes. */
    spawn: async (
      request: SpawnRequest,
      template: string | undefined,
      caller: Caller,
      signal: AbortSignal,
      key?: string,
    ): Promise<Spawned & { readonly isReplay: boolean }> => {
      const work = async (id?: string): Promise<Spawned> => {
        const wanted = await withTemplate(request, template, caller);
        const make = () => spawn(context, queue, wanted, caller, signal, id);
        const { name, ifExists } = wanted;
        if (ifExists !== "get") return { record: await make(), isNew: true };
        if (name === undefined) throw new StacyError("invalid_input", "invalid input: if_exists needs a name");
        return await getOrSpawn(context, { ...wanted, name }, caller, make, signal);
      };
      if (key === undefined) return { ...(await work()), isReplay: false };
      return await once({ key, caller, request: { ...request, template } }, work, signal);
    },
    get: (id: string, caller: Caller): Promise<SandboxRecord> => findSandbox(context, id, caller),
    list: (filter: SandboxFilter, caller: Caller, page: SandboxPage): Promise<readonly SandboxSummary[]> =>
      context.store.sandboxes.listSummaries({ ...filter, ...caller.scope }, page),
    /** The same rows with all that is known of them. */
    listRecords: (filter: SandboxFilter, caller: Caller, page: SandboxPage): Promise<readonly SandboxRecord[]> =>
      context.store.sandboxes.list({ ...filter, ...caller.scope }, page),
    prune: async (caller: Caller, signal: AbortSignal): Promise<number> => {
      const pruned = await prune(context, caller, signal);
      queue.capacityChanged();
      return pruned;
    },
    destroy: async (id: string, caller: Caller, signal: AbortSignal): Promise<void> => {
      await destroy(context, id, caller, signal);
      queue.capacityChanged();
    },
    extend: (id: string, ttlMs: number, caller: Caller) => extend(context, id, ttlMs, caller),
    exec: (id: string, request: ExecRequest, caller: Caller, signal: AbortSignal) =>
      exec(context, id, request, caller, signal),
    execStream: (id: string, request: ExecRequest, caller: Caller, signal: AbortSignal) =>
      execStream(context, id, request, caller, signal),
    files: fileOperations(context),
    fileLinks: fileLinkUseCases(context),
    folders: folderOperations(context),
    uploads: uploadUseCases(context),
    processes: processUseCases(context),
    ports: portUseCases(context),
    network: networkUseCases(context),
    tenants: tenantUseCases(context),
    logs: async (id: string, lines: number, caller: Caller, signal: AbortSignal): Promise<readonly string[]> => {
      const { runtime } = await findServing(context, id, caller, signal);
      return await runtime.consoleLog(lines);
    },
    stats: async (id: string, caller: Caller, signal: AbortSignal) => {
      const { runtime } = await findServing(context, id, caller, signal);
      return await runtime.usage(signal);
    },
    /** Quotas and caps changed: whoever waits tries again. */
    capacityChanged: () => queue.capacityChanged(),
  };
}

export type UseCases = ReturnType<typeof createUseCases>;
