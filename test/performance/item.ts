import type { ApiClient } from "./api-client.ts";
import type { BenchServer } from "./server-process.ts";

export interface ItemOptions {
  readonly server: BenchServer;
  readonly api: ApiClient;
  /** Repetitions, where the caller wants other than the item's own number. */
  readonly n: number | undefined;
  readonly agentPath: string;
}

/** One measurement: its figures, and the lines of the specification that they are held against. */
export interface ItemResult {
  readonly figures: Readonly<Record<string, unknown>>;
  readonly lines: readonly Line[];
}

export interface Line {
  readonly what: string;
  readonly wanted: string;
  readonly got: number;
  readonly reached: boolean;
}

export const atMost = (what: string, bound: number, unit: string, got: number): Line => ({
  what,
  wanted: `<= ${bound} ${unit}`,
  got,
  reached: got <= bound,
});

export const atLeast = (what: string, bound: number, unit: string, got: number): Line => ({
  what,
  wanted: `>= ${bound} ${unit}`,
  got,
  reached: got >= bound,
});

export type Item = (options: ItemOptions) => Promise<ItemResult>;
