import type { SandboxState } from "./sandbox.ts";

/**
 * What may follow what. `creating` and `destroying` are transitional: a record in them carries a deadline, after which
 * a sweep ends them. `destroyed` is the end.
 */
export const transitions = {
  creating: ["running", "error", "destroying"],
  running: ["unhealthy", "expired", "error", "destroying"],
  unhealthy: ["running", "expired", "error", "destroying"],
  expired: ["destroying"],
  error: ["destroying"],
  destroying: ["destroyed"],
  destroyed: [],
} as const satisfies Record<SandboxState, readonly SandboxState[]>;

const allStates = Object.keys(transitions) as readonly SandboxState[];

/** The states from which the given one may be reached. */
export function statesBefore(state: SandboxState): readonly SandboxState[] {
  return allStates.filter((from) => (transitions[from] as readonly SandboxState[]).includes(state));
}

/** States in which a sandbox counts against caps and may still answer. */
export const livingStates: readonly SandboxState[] = allStates.filter((state) => state !== "destroyed");

/** States in which commands and files are served. */
export const servingStates: readonly SandboxState[] = ["running", "unhealthy", "expired"];

/** How long each transitional state may last, milliseconds. A pull of a large image is part of creating. */
export const stateTimeoutMs = { creating: 30 * 60_000, destroying: 2 * 60_000 } as const;
