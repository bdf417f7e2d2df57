import { create } from "@bufbuild/protobuf";
import type { ExecEvent, ExecExit, ExecRequest, OutputStream } from "../guest.ts";
import {
  type ExecEvent_Exit,
  ExecRequestSchema,
  Stream,
  type ExecEvent as WireEvent,
  type ExecRequest as WireRequest,
} from "../wire/stacyvm/guest/v1/guest_pb.js";
import { unexpected } from "./envelope.ts";

/** Longest opaque process id taken from an agent, characters. */
const processIdMax = 64;

const streamNames: Partial<Record<Stream, OutputStream>> = {
  [Stream.STDOUT]: "stdout",
  [Stream.STDERR]: "stderr",
  [Stream.PTY]: "pty",
};

export function wireExecRequest(request: ExecRequest): WireRequest {
  return create(ExecRequestSchema, {
    argv: [...request.argv],
    env: { ...request.env },
    cwd: request.cwd ?? "",
    user: request.user ?? "",
    stdin: request.stdin ?? new Uint8Array(),
    stdinOpen: request.stdinOpen ?? false,
    timeoutMs: request.timeoutMs ?? 0,
    maxOutputBytes: BigInt(request.maxOutputBytes ?? 0),
    tag: request.tag ?? "",
    ...(request.pty === undefined ? {} : { pty: { cols: request.pty.cols, rows: request.pty.rows } }),
  });
}

/** Throws guest_protocol for a number that names none. */
export function outputStream(number: number): OutputStream {
  const stream = streamNames[number as Stream];
  if (stream === undefined) throw unexpected("output of an unknown stream");
  return stream;
}

/** Undefined for events that only keep the stream alive. Throws guest_protocol on what can't be. */
export function execEvent(wire: WireEvent): ExecEvent | undefined {
  const { event } = wire;
  switch (event.case) {
    case "start":
      if (event.value.processId.length > processIdMax) throw unexpected("a process id that is too long");
      return { type: "start", processId: event.value.processId, pid: event.value.pid };
    case "data":
      return { type: "output", stream: outputStream(event.value.stream), data: event.value.data };
    case "exit":
      return { type: "exit", ...execExit(event.value) };
    case "gap":
      throw unexpected("a gap in output that must be whole");
    case "keepalive":
    case "live":
      return undefined;
    default:
      throw unexpected("an event of an unknown kind");
  }
}

export function execExit(exit: ExecEvent_Exit): ExecExit {
  if (exit.exitCode < 0 || exit.exitCode > 255) throw unexpected("an exit code outside 0 to 255");
  return {
    exitCode: exit.exitCode,
    signal: exit.signal,
    timedOut: exit.timedOut,
    truncated: exit.truncated,
    background: exit.background,
    durationMs: Number(exit.durationUs) / 1000,
  };
}
