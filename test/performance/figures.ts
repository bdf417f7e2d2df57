/** The value below which the given share lies; NaN of nothing. */
export const quantile = (values: readonly number[], share: number): number => {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
};

export const rounded = (value: number, digits = 2): number => Number(value.toFixed(digits));

/** Count and quantiles of times in milliseconds. */
export const timesOf = (values: readonly number[]) => ({
  n: values.length,
  p50_ms: rounded(quantile(values, 0.5)),
  p95_ms: rounded(quantile(values, 0.95)),
  p99_ms: rounded(quantile(values, 0.99)),
  max_ms: rounded(Math.max(...values)),
});

/** Decimal megabytes a second. */
export const megabytesPerSecond = (bytes: number, ms: number): number => rounded(bytes / 1e3 / ms, 1);

/** Runs it and tells how long it took, in milliseconds. */
export const timed = async <T>(work: () => Promise<T>): Promise<{ readonly ms: number; readonly value: T }> => {
  const startedAt = performance.now();
  const value = await work();
  return { ms: performance.now() - startedAt, value };
};
