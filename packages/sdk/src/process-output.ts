import { ConnectionError, StacyVMError } from "./errors.ts";
import { objectsOf } from "./ndjson.ts";
import { isPassing } from "./passing.ts";
import type { Call, Transport } from "./transport.ts";
import type { ProcessExit } from "./wire.ts";

/** One step of a process's output. An offset names a byte of everything that the process wrote. */
export type ProcessEvent =
  /** `replayed`: it was written before this iteration began. A terminal must not answer what it reads there. */
  | {
      type: "output";
      stream: "stdout" | "stderr" | "pty";
      offset: number;
      data: Uint8Array;
      replayed: boolean;
    }
  /** Bytes that are lost: too old for the replay, or this reader was too slow. */
  | { type: "gap"; offset: number; until: number }
  /** The replay is over. */
  | { type: "live"; offset: number }
  | { type: "exit"; exit: ProcessExit };

/** Where an iteration begins and ends, and how long it tries a lost connection again, milliseconds. */
export interface OutputReading {
  readonly offset: number;
  /** Goes on after the command's exit. */
  readonly pastExit: boolean;
  readonly reconnectMs: number;
}

/** Waits before another try, milliseconds: the first one, and the longest that doubling comes to. */
const pauses = { firstMs: 100, longestMs: 2_000 };

/**
 * The events from the offset to the end or to the exit. A lost connection is made again from where it was, so that
 * nothing comes twice. Leaving the loop ends the connection; the process lives on.
 */
export async function* processEvents(
  transport: Transport,
  call: Call,
  { offset, pastExit, reconnectMs }: OutputReading,
): AsyncGenerator<ProcessEvent, void, undefined> {
  const signal = call.options?.signal;
  const told = { next: offset, live: false, exit: false };
  /** Of the connection that was lost; undefined while there has been none to lose. */
  let lost: { givesUpAt: number; pauseMs: number } | undefined;
  let connected = false;
  for (;;) {
    let connectedAt = Number.POSITIVE_INFINITY;
    try {
      const stream = await transport.stream({ ...call, query: { offset: told.next, ...call.query } });
      connected = true;
      connectedAt = performance.now();
      for await (const line of objectsOf(stream)) {
        const event = eventOf(line, !told.live);
        if (event === undefined || isToldAgain(event, told)) continue;
        lost = undefined;
        told.next = nextOffset(event) ?? told.next;
        yield event;
        if (event.type === "exit" && !pastExit) return;
      }
      return;
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      const failure = failureOf(error);
      const now = performance.now();
      // While a connection stood, that it told nothing new was the process's matter.
      if (lost !== undefined) lost.givesUpAt += Math.max(0, now - connectedAt);
      lost ??= { givesUpAt: now + reconnectMs, pauseMs: pauses.firstMs };
      if (!connected || !transport.repeats || !isPassing(failure) || now >= lost.givesUpAt) throw failure;
      await transport.sleep(lost.pauseMs, signal);
      lost.pauseMs = Math.min(2 * lost.pauseMs, pauses.longestMs);
    }
  }
}

/** What comes once, however often the connection is made: the end of the replay, and the exit. */
function isToldAgain({ type }: ProcessEvent, told: { live: boolean; exit: boolean }): boolean {
  if (type !== "live" && type !== "exit") return false;
  const again = told[type];
  told[type] = true;
  return again;
}

function nextOffset(event: ProcessEvent): number | undefined {
  if (event.type === "output") return event.offset + event.data.length;
  if (event.type === "gap") return event.until;
  return event.type === "live" ? event.offset : undefined;
}

const failureOf = (error: unknown): StacyVMError =>
  error instanceof StacyVMError
    ? error
    : new ConnectionError("The connection was lost; go on from the last offset and its bytes", { cause: error });

/** Undefined for what a later server may say and this client doesn't know. */
function eventOf(line: Record<string, unknown>, replayed: boolean): ProcessEvent | undefined {
  const { type, stream, offset, until, data, exit } = line;
  if (type === "exit") return { type, exit: exit as ProcessExit };
  if (typeof offset !== "number") return undefined;
  if (type === "live") return { type, offset };
  if (type === "gap" && typeof until === "number") return { type, offset, until };
  if (type !== "output" || typeof data !== "string") return undefined;
  return { type, stream: stream as "stdout" | "stderr" | "pty", offset, data: bytesOf(data), replayed };
}

const bytesOf = (base64: string): Uint8Array => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
