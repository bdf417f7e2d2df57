/** Longest delay that a timer counts, milliseconds. */
const timerMaxMs = 2_147_483_647;

export interface Deadline extends Disposable {
  /** Aborts with the outer signal's reason, or with a TimeoutError at the deadline. */
  readonly signal: AbortSignal;
}

/** A signal's child with a deadline, whose timer and listener go when it is disposed of rather than when it is collected. */
export const withDeadline = (outer: AbortSignal, ms: number): Deadline => {
  const controller = new AbortController();
  const leave = (): void => controller.abort(outer.reason);
  const expire = (): void => controller.abort(new DOMException("the deadline has passed", "TimeoutError"));
  const timer = setTimeout(expire, Math.min(ms, timerMaxMs)).unref();
  outer.addEventListener("abort", leave, { once: true });
  if (outer.aborted) leave();
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      clearTimeout(timer);
      outer.removeEventListener("abort", leave);
    },
  };
};
