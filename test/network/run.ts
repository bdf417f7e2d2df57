import type { Result, Verdict } from "../security/run.ts";
import { openField } from "./row.ts";
import { networkRows } from "./rows.ts";

/** A provider with a level of outbound network: a column of the table. */
export const networkTargets = [
  { id: "oci-transparent", title: "oci, runc, where every connection goes through the gateway" },
] as const;

export interface NetworkRunOptions {
  readonly ids: readonly string[];
  /** Ends the run after the row that is on. */
  readonly stop: AbortSignal;
  readonly onResult?: (result: Result) => void;
}

/** Tries rows, one after the other, on an Internet and a server of the run's own. */
export const runNetworkRows = async ({ ids, stop, onResult }: NetworkRunOptions): Promise<readonly Result[]> => {
  await using field = await openField();
  const results: Result[] = [];
  for (const row of networkRows.filter(({ id }) => ids.includes(id))) {
    stop.throwIfAborted();
    const startedMs = performance.now();
    const [verdict, said] = await row.attempt(field).then(
      (evidence): [Verdict, string] => [evidence.through ? "through" : "stopped", evidence.said],
      (error: unknown): [Verdict, string] => ["failed", error instanceof Error ? error.message : String(error)],
    );
    const result: Result = {
      id: row.id,
      target: networkTargets[0].id,
      verdict,
      said,
      reason: undefined,
      expected: verdict === "stopped",
      tookMs: performance.now() - startedMs,
    };
    results.push(result);
    onResult?.(result);
  }
  return results;
};
