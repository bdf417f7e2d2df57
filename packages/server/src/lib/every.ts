export interface EveryOptions {
  readonly intervalMs: number;
  /** The least pause before a round that `soon` asked for, milliseconds; none where absent. */
  readonly leastPauseMs?: number;
  readonly work: (signal: AbortSignal) => Promise<unknown>;
  readonly onFailure: (error: unknown) => void;
}

/**
 * Does the work again and again, a pause between the end of one round and the start of the next, so that rounds never
 * overlap. Disposing aborts the round under way and resolves when it has ended.
 */
export function every(options: EveryOptions): AsyncDisposable & { readonly soon: () => void } {
  const controller = new AbortController();
  const leastPauseMs = options.leastPauseMs ?? 0;
  let asked = false;
  let hurry: ((leastMs: number) => void) | undefined;
  const pause = () =>
    new Promise<void>((resolve) => {
      const startedAt = performance.now();
      let timer = setTimeout(resolve, asked ? leastPauseMs : options.intervalMs).unref();
      hurry = (leastMs) => {
        clearTimeout(timer);
        timer = setTimeout(resolve, Math.max(0, leastMs - (performance.now() - startedAt))).unref();
      };
    });
  const loop = (async () => {
    while (!controller.signal.aborted) {
      await pause();
      if (controller.signal.aborted) return;
      asked = false;
      try {
        await options.work(controller.signal);
      } catch (error) {
        if (!controller.signal.aborted) options.onFailure(error);
      }
    }
  })();
  return {
    /** The next round begins now, or once the one under way has ended. */
    soon: () => {
      if (asked) return;
      asked = true;
      hurry?.(leastPauseMs);
    },
    async [Symbol.asyncDispose]() {
      controller.abort();
      hurry?.(0);
      await loop;
    },
  };
}
