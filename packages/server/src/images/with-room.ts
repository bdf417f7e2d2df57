import { setInterval } from "node:timers/promises";

/** Throws host_disk_low where too little is left for images. */
export type RequireRoom = () => Promise<void>;

/** Milliseconds between two looks at what is left while an image comes in. */
const roomWatchMs = 250;

/** Work that fills the disk: refused where little is left, and ended as soon as little is. */
export async function withRoom<Result>(
  requireRoom: RequireRoom,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  await requireRoom();
  const low = new AbortController();
  const done = new AbortController();
  const watching = watch(requireRoom, low, done.signal);
  try {
    return await work(AbortSignal.any([signal, low.signal]));
  } catch (error) {
    low.signal.throwIfAborted(); // Whatever the end of a tool looks like, this is why.
    throw error;
  } finally {
    done.abort();
    await watching;
  }
}

async function watch(requireRoom: RequireRoom, low: AbortController, done: AbortSignal): Promise<void> {
  try {
    for await (const _ of setInterval(roomWatchMs, undefined, { signal: done })) {
      await requireRoom().catch((error: unknown) => low.abort(error));
      if (low.signal.aborted) return;
    }
  } catch {
    // The work is over.
  }
}
