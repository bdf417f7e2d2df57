import { constants } from "node:os";
import { ExitWith } from "./failure.ts";

/** Within this one key press arrives twice: from the terminal, and passed on by the launcher. Milliseconds. */
const sameKeyPressMs = 1_000;

/** Ends the work at Ctrl-C and then throws the exit status that shells know for it. A later Ctrl-C doesn't wait. */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const status = 128 + constants.signals.SIGINT;
  const controller = new AbortController();
  let firstAtMs = 0;
  const stop = () => {
    if (controller.signal.aborted && performance.now() - firstAtMs > sameKeyPressMs) process.exit(status);
    if (controller.signal.aborted) return;
    firstAtMs = performance.now();
    controller.abort(new ExitWith(status));
  };
  process.on("SIGINT", stop);
  try {
    return await work(controller.signal);
  } catch (error) {
    throw controller.signal.aborted ? controller.signal.reason : error;
  } finally {
    // After an interrupt what the work began may still be cleared away when the key press arrives a second time.
    if (!controller.signal.aborted) process.off("SIGINT", stop);
  }
}
