import { createHash } from "node:crypto";
import { every } from "../lib/every.ts";
import type { FailureCountStore } from "../store/store.ts";
import { type FailurePenalties, forgetAfterMs } from "./failure-penalties.ts";

/** How often this server tells the others of failures, milliseconds. */
const tellEveryMs = 1_000;
/** Most addresses that are told of at once; more count on this server alone. */
const tellMax = 1_000;
/** How often counts that are forgotten are deleted, milliseconds. */
const pruneFailuresEveryMs = 600_000;

export interface SharedFailuresOptions {
  readonly penalties: FailurePenalties;
  readonly counts: FailureCountStore;
  /** The database didn't take them; each server then counts by itself. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * One count of failures for all servers of a database. Nobody waits for it: what failed is counted here at once and
 * told together, once a second, and the others' failures come back with the answer. Addresses are named by digests.
 */
export const shareFailures = ({ penalties, counts, onFailure }: SharedFailuresOptions): AsyncDisposable => {
  let untold = new Map<string, number>();
  penalties.onNoted = (address) => {
    if (untold.size < tellMax || untold.has(address)) untold.set(address, (untold.get(address) ?? 0) + 1);
  };

  const tell = async (): Promise<void> => {
    const told = untold;
    if (told.size === 0) return;
    untold = new Map();
    const addresses = new Map([...told.keys()].map((address) => [digestOf(address), address]));
    const added = new Map([...addresses].map(([digest, address]) => [digest, told.get(address) ?? 0]));
    for (const [digest, count] of await counts.add(added, forgetAfterMs)) {
      const address = addresses.get(digest);
      if (address !== undefined) penalties.learn(address, count);
    }
  };

  const stack = new AsyncDisposableStack();
  stack.use(every({ intervalMs: tellEveryMs, work: tell, onFailure }));
  stack.use(every({ intervalMs: pruneFailuresEveryMs, work: () => counts.prune(forgetAfterMs), onFailure }));
  stack.defer(() => {
    penalties.onNoted = undefined;
  });
  return stack;
};

const digestOf = (address: string): string => createHash("sha256").update(address).digest("base64url");
