/**
 * A stack of undo steps, run in reverse when what they belong to fails. Every step runs whatever the others do; their
 * failures are joined.
 */
export interface Scope {
  /** Called with a signal of its own: the caller's may be the reason for the undoing. */
  defer(step: string, undo: (signal: AbortSignal) => Promise<unknown>): void;
}

/** Time that all undo steps together may take, milliseconds. */
const undoTimeoutMs = 60_000;

/** Runs the work; when it throws, undoes what it deferred and throws the original error (undo failures beside it). */
export async function withScope<T>(
  work: (scope: Scope) => Promise<T>,
  onUndoFailure: (step: string, error: unknown) => void,
): Promise<T> {
  const steps: { step: string; undo: (signal: AbortSignal) => Promise<unknown> }[] = [];
  try {
    return await work({
      defer: (step, undo) => {
        steps.push({ step, undo });
      },
    });
  } catch (error) {
    const signal = AbortSignal.timeout(undoTimeoutMs);
    for (const { step, undo } of steps.reverse()) {
      try {
        await undo(signal);
      } catch (undoError) {
        onUndoFailure(step, undoError);
      }
    }
    throw error;
  }
}
