import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { StacyError } from "@stacyvm/contract";
import type { ProcessEvent } from "../guest-processes.ts";
import {
  AttachRequestSchema,
  ExecEventSchema,
  type ExecEvent as WireEvent,
} from "../wire/stacyvm/guest/v1/guest_pb.js";
import { safeNumber } from "./entries.ts";
import { unexpected } from "./envelope.ts";
import { envelopes } from "./envelopes.ts";
import { endFailure, post } from "./exec.ts";
import { execExit, outputStream } from "./exec-events.ts";
import { type FailureReading, guestFailure } from "./failures.ts";
import type { Answer, PlainConnections } from "./plain-connections.ts";

const attachPath = "/stacyvm.guest.v1.Guest/Attach";
/** How often a silent process's stream shows that it lives, seconds. */
const keepaliveSeconds = 15;

export interface Attachment {
  readonly processId: string;
  readonly offset: number;
  readonly follow: boolean;
}

/**
 * A process's output on a connection of its own, for the same reasons as a command's: bulk bytes, and a reader that
 * stalls. The agent never waits for it: what it misses comes as a gap.
 */
export async function* attachProcess(
  connections: PlainConnections,
  attachment: Attachment,
  signal: AbortSignal,
  reading: FailureReading,
): AsyncGenerator<ProcessEvent> {
  const { processId, offset, follow } = attachment;
  const request = create(AttachRequestSchema, { processId, offset: BigInt(offset), follow });
  try {
    const headers = { "keepalive-ping-interval": String(keepaliveSeconds) };
    yield* events(await post(connections, attachPath, toBinary(AttachRequestSchema, request), signal, headers), follow);
  } catch (error) {
    throw guestFailure(error, signal, reading);
  }
}

async function* events({ status, body }: Answer, follow: boolean): AsyncGenerator<ProcessEvent> {
  if (status !== 200) {
    body.discard();
    throw new StacyError("guest_protocol", `the sandbox's agent answered attach with status ${status}`);
  }
  let whole = false;
  for await (const envelope of envelopes(body)) {
    if (envelope.end) {
      const failure = endFailure(envelope.payload);
      if (failure !== undefined) throw failure;
      break;
    }
    const event = processEvent(fromBinary(ExecEventSchema, envelope.payload));
    if (event === undefined) continue;
    whole ||= event.type === "exit" || (!follow && event.type === "live");
    yield event;
  }
  if (!whole) throw new StacyError("guest_unreachable", "the sandbox's agent ended a process's output before its end");
}

/** Undefined for the stream's own beginning. Throws guest_protocol on what can't be. */
function processEvent({ event }: WireEvent): ProcessEvent | undefined {
  switch (event.case) {
    case "start":
      return undefined;
    case "data": {
      const stream = outputStream(event.value.stream);
      return { type: "output", stream, offset: safeNumber(event.value.offset), data: event.value.data };
    }
    case "gap":
      return { type: "gap", offset: safeNumber(event.value.fromOffset), until: safeNumber(event.value.toOffset) };
    case "live":
      return { type: "live", offset: safeNumber(event.value.offset) };
    case "exit":
      return { type: "exit", ...execExit(event.value) };
    case "keepalive":
      return { type: "keepalive" };
    default:
      throw unexpected("an event of an unknown kind");
  }
}
