export interface EveryOptions {
  readonly intervalMs: number;
  readonly work: (signal: AbortSignal) => Promise<unknown>;
  readonly onFailure: (error: unknown) => void;
}

/**
 * Does the work again and again, a pause between the end of one round and the start of the next, so that rounds never
 * overlap. Disposing aborts the round under way and resolves when it has ended.
 */
export function every(options: EveryOptions): AsyncDisposable & { readonly soon: () => void } {
  const controller = new AbortController();
  let wake: (() => void) | undefined;
  const pause = () =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, options.intervalMs);
      timer.unref();
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  const loop = (async () => {
    for (;;) {
      await pause();
      if (controller.signal.aborted) return;
      try {
        await options.work(controller.signal);
      } catch (error) {
        if (!controller.signal.aborted) options.onFailure(error);
      }
    }
  })();
  return {
    /** The next round begins now. */
    soon: () => wake?.(),
    async [Symbol.asyncDispose]() {
      controller.abort();
      wake?.();
      await loop;
    },
  };
}
