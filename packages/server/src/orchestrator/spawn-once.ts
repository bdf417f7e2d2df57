import { createHash, createHmac } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import { StacyError } from "@stacyvm/contract";
import { placeOf } from "../sandbox/scope.ts";
import type { SpawnKey } from "../store/store.ts";
import type { Caller, Context } from "./context.ts";
import { lookAgainMs, type Spawned } from "./named-spawn.ts";

/** A claim of another server without a sandbox is that of one that died after this long, milliseconds. */
const claimLifeMs = 60 * 60_000;
/** How long keys are kept at least, and how often older ones are deleted, milliseconds. */
export const spawnKeyLifeMs = 24 * 60 * 60_000;
export const spawnKeyPruneMs = 10 * 60_000;

export interface KeyedSpawn {
  /** As the caller sent it. */
  readonly key: string;
  readonly caller: Caller;
  /** All that was asked for. */
  readonly request: unknown;
}

/** The same text for the same value, whatever order its keys came in. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_name, part: unknown) =>
    typeof part === "object" && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );

/** What is kept tells neither the key nor, without it, what was asked for: that may hold secrets. */
const digestsOf = ({ key, caller, request }: KeyedSpawn) => ({
  key: createHash("sha256")
    .update(JSON.stringify([placeOf(caller.scope), caller.actor, key]))
    .digest("hex"),
  fingerprint: createHmac("sha256", key).update(canonical(request)).digest("hex"),
});

/** Spawns that may be sent again: under one key of one caller only one sandbox is made. */
export function spawnOnce(context: Context) {
  const { spawnKeys, sandboxes } = context.store;
  /** Claims that this process is working on; one of ours that isn't here is of an earlier life. */
  const active = new Set<string>();

  const make = async (claim: SpawnKey, work: (id: string) => Promise<Spawned>): Promise<Spawned> => {
    active.add(claim.sandboxId);
    try {
      const spawned = await work(claim.sandboxId);
      await spawnKeys.settle(claim, spawned.record.id, context.clock.now());
      return spawned;
    } catch (error) {
      // Left standing it would be freed by whoever meets it next.
      await spawnKeys.free(claim).catch((cause: unknown) => {
        context.log.warn({ err: cause }, "idempotency key could not be freed");
      });
      throw error;
    } finally {
      active.delete(claim.sandboxId);
    }
  };

  /** Ends a claim whose spawn is over though nobody said so. */
  const tidy = async (claim: SpawnKey): Promise<void> => {
    const record = await sandboxes.get(claim.sandboxId);
    const nowMs = context.clock.now();
    if (record === undefined) {
      const isOurs = claim.holderId === context.holderId;
      const isDead = isOurs ? !active.has(claim.sandboxId) : claim.createdAtMs + claimLifeMs < nowMs;
      if (isDead) await spawnKeys.free(claim);
    } else if (record.state === "destroyed") await spawnKeys.free(claim);
    else if (record.state !== "creating" && record.state !== "destroying") {
      if (!active.has(claim.sandboxId)) await spawnKeys.settle(claim, claim.sandboxId, nowMs);
    }
  };

  /**
   * The sandbox that the key stands for, made where it is new; waits while it is being made. Throws
   * idempotency_key_reused where something else was asked for, sandbox_destroyed where the sandbox has come and gone.
   */
  return async (
    spawn: KeyedSpawn,
    work: (id: string) => Promise<Spawned>,
    signal: AbortSignal,
  ): Promise<Spawned & { readonly isReplay: boolean }> => {
    const digests = digestsOf(spawn);
    const sandboxId = context.ids.sandbox();
    for (;;) {
      const claim = { ...digests, sandboxId, holderId: context.holderId, createdAtMs: context.clock.now() };
      const found = await spawnKeys.claim(claim);
      if (found.sandboxId === sandboxId) return { ...(await make(found, work)), isReplay: false };
      if (found.fingerprint !== digests.fingerprint) {
        throw new StacyError(
          "idempotency_key_reused",
          "conflict: the Idempotency-Key came before with another request",
        );
      }
      if (found.settledAtMs > 0) return { record: await madeBy(found), isNew: true, isReplay: true };
      await tidy(found);
      await setTimeout(lookAgainMs, undefined, { signal });
    }
  };

  async function madeBy({ sandboxId }: SpawnKey) {
    const record = await sandboxes.get(sandboxId);
    if (record !== undefined && record.state !== "destroyed" && record.state !== "destroying") return record;
    throw new StacyError("sandbox_destroyed", `sandbox destroyed: ${sandboxId}`, {
      remediation: "The key stands for a sandbox that is gone; spawn a new one under another key.",
    });
  }
}
