import type { OperationMetrics } from "@stacyvm/contract";
import type { Clock } from "../lib/clock.ts";

export type MeasuredOperation =
  | "spawn"
  | "exec"
  | "exec_stream"
  | "destroy"
  | "file_write"
  | "file_read"
  | "file_list"
  | "file_delete"
  | "file_move"
  | "file_chmod"
  | "file_stat"
  | "file_glob"
  | "file_archive_read"
  | "file_archive_write"
  | "file_mkdir"
  | "file_watch";

export interface Observation {
  readonly operation: MeasuredOperation;
  /** `unknown` when the sandbox was not found. */
  readonly provider: string;
  readonly durationMs: number;
  /** The failure's reason of the catalogue; absent for a success. */
  readonly error?: string;
}

interface Tally {
  readonly operation: string;
  readonly provider: string;
  success: number;
  failure: number;
  totalMs: number;
  minMs: number;
  maxMs: number;
  lastError: string;
  lastObservedMs: number;
}

/** Pairs of operation and provider that are told apart; further ones count as provider `other`. */
const pairsMax = 512;

/** Counts successes, failures and times per operation and provider. */
export const createOperationMetrics = ({ clock }: { readonly clock: Clock }) => {
  const tallies = new Map<string, Tally>();

  const tallyOf = (operation: string, provider: string): Tally => {
    const key = `${operation} ${provider}`;
    const known = tallies.get(key);
    if (known !== undefined) return known;
    if (tallies.size >= pairsMax && provider !== "other") return tallyOf(operation, "other");
    const tally: Tally = {
      operation,
      provider,
      success: 0,
      failure: 0,
      totalMs: 0,
      minMs: Number.POSITIVE_INFINITY,
      maxMs: 0,
      lastError: "",
      lastObservedMs: 0,
    };
    tallies.set(key, tally);
    return tally;
  };

  return {
    observe({ operation, provider, durationMs, error }: Observation): void {
      const tally = tallyOf(operation, provider);
      if (error === undefined) tally.success += 1;
      else {
        tally.failure += 1;
        tally.lastError = error;
      }
      tally.totalMs += durationMs;
      tally.minMs = Math.min(tally.minMs, durationMs);
      tally.maxMs = Math.max(tally.maxMs, durationMs);
      tally.lastObservedMs = clock.now();
    },

    /** Sorted by operation, then provider. */
    snapshot(): OperationMetrics[] {
      const byName = (a: Tally, b: Tally): number =>
        a.operation === b.operation ? (a.provider < b.provider ? -1 : 1) : a.operation < b.operation ? -1 : 1;
      return [...tallies.values()].sort(byName).map((tally) => {
        const count = tally.success + tally.failure;
        return {
          operation: tally.operation,
          provider: tally.provider,
          success_total: tally.success,
          failure_total: tally.failure,
          latency_count: count,
          latency_total_ms: tally.totalMs,
          latency_min_ms: tally.minMs,
          latency_max_ms: tally.maxMs,
          latency_avg_ms: tally.totalMs / count,
          ...(tally.lastError === "" ? {} : { last_error: tally.lastError }),
          last_observed_unix: Math.trunc(tally.lastObservedMs / 1000),
        };
      });
    },
  };
};

export type OperationMetricsRecorder = ReturnType<typeof createOperationMetrics>;
