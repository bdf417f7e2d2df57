import type { ProcessEvent as WireEvent } from "@stacyvm/contract";
import type { ExecExit } from "../../guest/guest.ts";
import type { ProcessEvent } from "../../guest/guest-processes.ts";
import { wireExit } from "../handlers/process-wire.ts";
import { outputDecoders } from "./exec-lines.ts";

export type OutputEncoding = "text" | "base64";

/** A wire event, and the offset at which whoever has it goes on. */
interface Step {
  readonly event: WireEvent;
  readonly next: number;
}

/** What isn't output, as it stands on the wire. Undefined for a sign of life. */
export const wireEvent = (event: Exclude<ProcessEvent, { type: "output" }>): WireEvent | undefined => {
  switch (event.type) {
    case "gap":
      return { type: "gap", offset: event.offset, until: event.until };
    case "live":
      return { type: "live", offset: event.offset };
    case "exit":
      return { type: "exit", exit: wireExit(event) };
    case "keepalive":
      return undefined;
  }
};

/** Undefined is a sign of life. In text a character that is cut by the chunks waits for its rest, within its stream. */
async function* steps(events: AsyncIterable<ProcessEvent>, encoding: OutputEncoding): AsyncGenerator<Step | undefined> {
  const decoders = outputDecoders();
  let next = 0;
  for await (const event of events) {
    if (event.type === "output") {
      const { stream, offset, data } = event;
      next = offset + data.length;
      if (encoding === "base64") {
        const text = Buffer.from(data.buffer, data.byteOffset, data.length).toString("base64");
        yield { event: { type: "output", stream, offset, encoding, data: text }, next };
        continue;
      }
      const text = decoders.text(stream, data);
      if (text !== "") yield { event: { type: "output", stream, offset, data: text }, next };
      continue;
    }
    if (event.type === "gap" || event.type === "exit") {
      // What was cut stays cut: its rest is lost, or never came.
      for (const [stream, data] of decoders.rest()) {
        if (data !== "") yield { event: { type: "output", stream, offset: next, data }, next };
      }
    }
    if (event.type === "gap") next = event.until;
    if (event.type === "live") next = event.offset;
    const wire = wireEvent(event);
    yield wire === undefined ? undefined : { event: wire, next };
  }
}

/** One event a line. */
export async function* processLines(
  events: AsyncIterable<ProcessEvent>,
  encoding: OutputEncoding,
): AsyncGenerator<string> {
  for await (const step of steps(events, encoding)) if (step !== undefined) yield `${JSON.stringify(step.event)}\n`;
}

/** Server-sent events whose ids are offsets, so that a browser that reconnects goes on where it was. */
export async function* processServerSentEvents(
  events: AsyncIterable<ProcessEvent>,
  encoding: OutputEncoding,
): AsyncGenerator<string> {
  for await (const step of steps(events, encoding)) {
    yield step === undefined ? ": heartbeat\n\n" : `id: ${step.next}\ndata: ${JSON.stringify(step.event)}\n\n`;
  }
}

const nothing = new Uint8Array();

/** Bytes can't say that some are missing. */
export class LostOutput extends Error {
  override readonly name = "LostOutput";
}

/**
 * All streams' bytes in order of arrival. A gap at the beginning is for a header to tell; a later one throws, which
 * cuts the connection. An empty part says that all there was has been sent: the head leaves, however long the rest takes.
 */
export async function* processBytes(
  events: AsyncIterable<ProcessEvent>,
  onExit: (exit: ExecExit) => void,
): AsyncGenerator<Uint8Array> {
  let begun = false;
  for await (const event of events) {
    if (event.type === "output") yield event.data;
    else if (event.type === "live") yield nothing;
    else if (event.type === "exit") onExit(event);
    else if (event.type === "gap" && begun)
      throw new LostOutput(`output from ${event.offset} to ${event.until} is lost`);
    begun = true;
  }
}
