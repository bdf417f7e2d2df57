import type { Result, Verdict } from "../security/run.ts";
import { openField } from "./row.ts";
import { networkRows } from "./rows.ts";
import type { NetworkTarget } from "./targets.ts";

export interface NetworkRunOptions {
  readonly target: NetworkTarget;
  readonly ids: readonly string[];
  /** Ends the run after the row that is on. */
  readonly stop: AbortSignal;
  readonly onResult?: (result: Result) => void;
}

/** Tries rows, one after the other, on an Internet and a server of the run's own. */
export const runNetworkRows = async (options: NetworkRunOptions): Promise<readonly Result[]> => {
  const { target, ids, stop, onResult } = options;
  await using field = await openField({}, target);
  const results: Result[] = [];
  for (const row of networkRows.filter(({ id }) => ids.includes(id))) {
    stop.throwIfAborted();
    const startedMs = performance.now();
    const reason = row.notAt?.[target.level];
    const tried = reason === undefined ? row.attempt(field) : undefined;
    const [verdict, said] =
      (await tried?.then(
        (evidence): [Verdict, string] => [evidence.through ? "through" : "stopped", evidence.said],
        (error: unknown): [Verdict, string] => ["failed", error instanceof Error ? error.message : String(error)],
      )) ?? (["not tried", ""] as const);
    const result: Result = {
      id: row.id,
      target: target.id,
      verdict,
      said,
      reason,
      expected: verdict === (reason === undefined ? "stopped" : "not tried"),
      tookMs: performance.now() - startedMs,
    };
    results.push(result);
    onResult?.(result);
  }
  return results;
};
