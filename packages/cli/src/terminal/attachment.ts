import { setTimeout as sleep } from "node:timers/promises";
import { StacyVMError } from "stacyvm";
import type { ServerAddress } from "../server-socket.ts";
import {
  isPassing,
  openProcessSocket,
  type ProcessAddress,
  type ProcessSocket,
  type SocketEvent,
  type TerminalSize,
  type Watch,
} from "./process-socket.ts";

export interface AttachmentOptions {
  /** Of the first byte wanted. */
  readonly offset: number;
  /** Ends the events; they then throw the signal's reason. */
  readonly signal?: AbortSignal;
  /** How long a lost connection is tried again, milliseconds. */
  readonly reconnectMs?: number;
  readonly watch?: Watch;
  /** The connection has been away for about a second. */
  readonly onAway?: () => void;
  /** It is back after `onAway`. */
  readonly onBack?: () => void;
}

/** A process's output and input over as many connections as it takes. */
export interface Attachment {
  /** To be iterated once, to the exit. `open` and `live` come once a connection. */
  readonly events: AsyncIterable<SocketEvent>;
  /** Whether it was sent. What isn't sent, or is lost with its connection, is not sent again. */
  write(input: Uint8Array, onSent?: () => void): boolean;
  waitingBytes(): number;
  resize(size: TerminalSize): void;
}

const defaultReconnectMs = 60_000;
/** A connection that is away for less is not worth a word, milliseconds. */
const awayMs = 1_000;
/** A connection that brought nothing new in less was none: its loss goes on where the last one was, milliseconds. */
const steadyMs = 5_000;
/** Waits before another try, milliseconds: the first one, and the longest that doubling comes to. */
const pauses = { firstMs: 50, longestMs: 1_000 };

/**
 * Attaches from the offset on. A lost connection, and a server that is started again, are come back to from the next
 * byte, so that nothing is lost or comes twice.
 */
export function attachTo(server: ServerAddress, address: ProcessAddress, options: AttachmentOptions): Attachment {
  const { signal, reconnectMs = defaultReconnectMs } = options;
  let next = options.offset;
  let socket: ProcessSocket | undefined;
  let lost: Absence | undefined;

  async function* events(): AsyncGenerator<SocketEvent> {
    for (;;) {
      signal?.throwIfAborted();
      socket = openProcessSocket(server, address, next, options.watch);
      const { close } = socket;
      const from = next;
      let heardAt = Number.POSITIVE_INFINITY;
      signal?.addEventListener("abort", close);
      try {
        for await (const event of socket.events) {
          signal?.throwIfAborted();
          if (event.type !== "open" && event.type !== "refused") {
            heardAt = Math.min(heardAt, performance.now());
            lost?.back();
          }
          next = nextOffset(event) ?? next;
          yield event;
          if (event.type === "exit") return;
        }
        throw new Error("the server ended the output without the command's exit");
      } catch (error) {
        signal?.throwIfAborted();
        if (!isPassing(error)) throw error;
        if (next > from || performance.now() - heardAt >= steadyMs || lost === undefined)
          lost = absence(options, reconnectMs);
        lost.away();
        if (performance.now() >= lost.givesUpAt) throw gaveUp(address, reconnectMs, error);
        await sleep(lost.pauseMs(), undefined, signal === undefined ? {} : { signal });
      } finally {
        signal?.removeEventListener("abort", close);
        close();
      }
    }
  }

  return {
    events: withEnd(events(), () => lost?.cancel()),
    write: (input, onSent) => socket?.write(input, onSent) ?? false,
    waitingBytes: () => socket?.waitingBytes() ?? 0,
    resize: (size) => socket?.resize(size),
  };
}

async function* withEnd<T>(source: AsyncIterable<T>, end: () => void): AsyncGenerator<T> {
  try {
    yield* source;
  } finally {
    end();
  }
}

interface Absence {
  readonly givesUpAt: number;
  pauseMs(): number;
  away(): void;
  back(): void;
  cancel(): void;
}

function absence({ onAway, onBack }: AttachmentOptions, reconnectMs: number): Absence {
  let told = false;
  let timer: NodeJS.Timeout | undefined;
  let pause = pauses.firstMs;
  return {
    givesUpAt: performance.now() + reconnectMs,
    pauseMs() {
      const now = pause;
      pause = Math.min(2 * pause, pauses.longestMs);
      return now;
    },
    away() {
      timer ??= setTimeout(() => {
        told = true;
        onAway?.();
      }, awayMs);
    },
    back() {
      clearTimeout(timer);
      timer = undefined;
      if (told) onBack?.();
      told = false;
    },
    cancel: () => clearTimeout(timer),
  };
}

function nextOffset(event: SocketEvent): number | undefined {
  if (event.type === "output") return event.offset + event.data.length;
  if (event.type === "gap") return event.until;
  return event.type === "live" ? event.offset : undefined;
}

const gaveUp = ({ sandboxId, processId }: ProcessAddress, reconnectMs: number, cause: unknown): StacyVMError => {
  const why = cause instanceof Error ? `: ${cause.message}` : "";
  return new StacyVMError(
    `the connection was lost and could not be made again in ${reconnectMs / 1000}s${why}`,
    "CONNECTION_ERROR",
    undefined,
    { remediation: `The process may run on; come back with: stacyvm attach ${sandboxId} ${processId}`, cause },
  );
};
