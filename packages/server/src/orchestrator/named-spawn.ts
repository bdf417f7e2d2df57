import { setTimeout } from "node:timers/promises";
import { StacyError } from "@stacyvm/contract";
import type { SandboxRecord } from "../sandbox/sandbox.ts";
import { placeOf } from "../sandbox/scope.ts";
import type { Caller, Context } from "./context.ts";
import type { SpawnRequest } from "./spawn-record.ts";

/** How often a sandbox that comes or goes is looked at again, milliseconds. */
export const lookAgainMs = 100;

/** What a spawn came to. */
export interface Spawned {
  readonly record: SandboxRecord;
  /** False: it was there already. */
  readonly isNew: boolean;
}

/**
 * The living sandbox of that name and owner as it is, whatever else was asked for, or a new one. Waits for one that is
 * on its way or going. Throws state_conflict for one that has failed.
 */
export async function getOrSpawn(
  context: Context,
  request: SpawnRequest & { readonly name: string },
  caller: Caller,
  make: () => Promise<SandboxRecord>,
  signal: AbortSignal,
): Promise<Spawned> {
  for (;;) {
    const named = { name: request.name, ownerId: request.ownerId, ...placeOf(caller.scope) };
    const [found] = await context.store.sandboxes.list(named, { limit: 1 });
    if (found === undefined) {
      try {
        return { record: await make(), isNew: true };
      } catch (error) {
        if (!isNameTaken(error)) throw error;
        continue; // By somebody who was faster.
      }
    }
    if (found.state === "error") {
      throw new StacyError("state_conflict", `sandbox ${found.id} of that name is in error: ${found.stateReason}`, {
        remediation: "Destroy it, then spawn again.",
        details: { name: found.name, sandbox_id: found.id },
      });
    }
    const serves = found.state === "running" || found.state === "unhealthy";
    if (serves && found.expiresAtMs > context.clock.now()) return { record: found, isNew: false };
    await setTimeout(lookAgainMs, undefined, { signal });
  }
}

const isNameTaken = (error: unknown): boolean =>
  error instanceof StacyError && error.reason === "already_exists" && error.details?.sandbox_id !== undefined;
