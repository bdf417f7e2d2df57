/** A call's time limit joined with the caller's signal. */
export interface Deadline {
  readonly signal: AbortSignal;
  readonly passed: boolean;
  /** Ends the time limit; the caller's signal keeps counting. */
  stop(): void;
}

/** @param timeoutMs 0 or less: no limit */
export function startDeadline(timeoutMs: number, caller: AbortSignal | undefined): Deadline {
  const limit = new AbortController();
  let passed = false;
  const timer =
    timeoutMs > 0 && Number.isFinite(timeoutMs)
      ? setTimeout(
          () => {
            passed = true;
            limit.abort(new DOMException("The call took longer than its timeout", "TimeoutError"));
          },
          Math.min(timeoutMs, 2 ** 31 - 1),
        )
      : undefined;
  return {
    signal: caller === undefined ? limit.signal : AbortSignal.any([caller, limit.signal]),
    get passed() {
      return passed;
    },
    stop: () => clearTimeout(timer),
  };
}
