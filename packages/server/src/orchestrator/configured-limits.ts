import type { Config } from "../config/schema.ts";
import type { Limits } from "../sandbox/limits.ts";
import type { SpawnDefaults } from "./context.ts";

/** The limits as they are configured at each moment. */
export const configuredLimits = (now: () => Config["defaults"]): Limits => ({
  get defaultTtlMs() {
    return now().ttlMs;
  },
  get maxTtlMs() {
    return now().maxTtlMs;
  },
  get defaultExecTimeoutMs() {
    return now().defaultExecTimeoutMs;
  },
  get maxExecTimeoutMs() {
    return now().maxExecTimeoutMs;
  },
  get maxSandboxes() {
    return now().maxSandboxes;
  },
  get maxSandboxesPerOwner() {
    return now().maxSandboxesPerOwner;
  },
});

/** What spawns that say nothing get, as it is configured at each moment. */
export const configuredSpawnDefaults = (now: () => Config["defaults"], pidsMax: number): SpawnDefaults => ({
  pidsMax,
  get image() {
    return now().image;
  },
  get memoryMb() {
    return now().memoryMb;
  },
  get vcpus() {
    return now().vcpus;
  },
  get diskMb() {
    return now().diskSizeMb;
  },
  get security() {
    return now().security;
  },
  get overflow() {
    return now().spawnOverflow;
  },
  get maxQueue() {
    return now().maxSpawnQueue;
  },
  get queueTimeoutMs() {
    return now().spawnQueueTimeoutMs;
  },
});
