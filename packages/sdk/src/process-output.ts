import { ConnectionError, StacyVMError } from "./errors.ts";
import { objectsOf } from "./ndjson.ts";
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

const bytesOf = (base64: string): Uint8Array => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));

/** The events of one answer, to its end or to the exit. Leaving the loop ends the connection; the process lives on. */
export async function* processEvents(
  transport: Transport,
  call: Call,
  pastExit: boolean,
): AsyncGenerator<ProcessEvent, void, undefined> {
  let replayed = true;
  try {
    for await (const line of objectsOf(await transport.stream(call))) {
      const event = eventOf(line, replayed);
      if (event === undefined) continue;
      if (event.type === "live") replayed = false;
      yield event;
      if (event.type === "exit" && !pastExit) return;
    }
  } catch (error) {
    if (call.options?.signal?.aborted) throw call.options.signal.reason;
    if (error instanceof StacyVMError) throw error;
    throw new ConnectionError("The connection was lost; go on from the last offset and its bytes", { cause: error });
  }
}

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
