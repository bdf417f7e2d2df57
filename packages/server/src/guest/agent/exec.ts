import http from "node:http";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { StacyError } from "@stacyvm/contract";
import type { ExecEvent, ExecRequest, ExecResult } from "../guest.ts";
import { ExecEventSchema, ExecRequestSchema } from "../wire/stacyvm/guest/v1/guest_pb.js";
import { encodeEnvelope, readEnvelopes } from "./envelope.ts";
import { execEvent, wireExecRequest } from "./exec-events.ts";
import { guestFailure } from "./failures.ts";

const execPath = "/stacyvm.guest.v1.Guest/Exec";
const execReading = { [Code.NotFound]: "invalid_input" } as const;

/**
 * Exec as Connect's streaming form on an HTTP/1.1 connection: a plain socket moves bulk output several times faster
 * than a multiplexed one, and a stalled reader stalls nobody else.
 */
export async function* streamExec(
  connections: http.Agent,
  request: ExecRequest,
  signal: AbortSignal,
): AsyncGenerator<ExecEvent> {
  try {
    const response = await post(
      connections,
      encodeEnvelope(toBinary(ExecRequestSchema, wireExecRequest(request))),
      signal,
    );
    try {
      yield* events(response);
    } finally {
      // A consumer that leaves early ends the process: the agent sees the connection go.
      if (!response.complete) response.destroy();
    }
  } catch (error) {
    throw guestFailure(error, signal, execReading);
  }
}

async function* events(response: http.IncomingMessage): AsyncGenerator<ExecEvent> {
  if (response.statusCode !== 200) {
    throw new StacyError("guest_protocol", `the sandbox's agent answered exec with status ${response.statusCode}`);
  }
  let exit: ExecEvent | undefined;
  for await (const envelope of readEnvelopes(response)) {
    if (envelope.end) {
      const failure = endFailure(envelope.payload);
      if (failure !== undefined) throw failure;
      break;
    }
    const event = execEvent(fromBinary(ExecEventSchema, envelope.payload));
    if (event === undefined) continue;
    if (event.type === "exit") exit = event;
    else yield event;
  }
  if (exit === undefined)
    throw new StacyError("guest_unreachable", "the sandbox's agent ended a command's stream without its exit");
  yield exit;
}

/** The error in the end-of-stream message, if there is one. */
function endFailure(payload: Uint8Array): ConnectError | undefined {
  if (payload.length > 64 * 1024)
    throw new StacyError("guest_protocol", "the sandbox's agent sent an end that is too long");
  const end: unknown = JSON.parse(Buffer.from(payload).toString("utf8"));
  if (typeof end !== "object" || end === null || !("error" in end)) return undefined;
  const { error } = end;
  if (typeof error !== "object" || error === null || !("code" in error) || typeof error.code !== "string")
    return undefined;
  const message = "message" in error && typeof error.message === "string" ? error.message : "";
  return new ConnectError(message, codeOf(error.code));
}

function codeOf(name: string): Code {
  const key = name.replace(/(^|_)([a-z])/g, (_, __, letter: string) => letter.toUpperCase());
  const code = Code[key as keyof typeof Code];
  return typeof code === "number" ? code : Code.Unknown;
}

function post(connections: http.Agent, body: Buffer, signal: AbortSignal): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = http.request(
      {
        agent: connections,
        host: "agent",
        method: "POST",
        path: execPath,
        signal,
        headers: {
          "content-type": "application/connect+proto",
          "connect-protocol-version": "1",
          "content-length": body.length,
        },
      },
      resolve,
    );
    request.on("error", reject);
    request.end(body);
  });
}

/** Collects a bounded exec. `maxOutputBytes` bounds what is held here as well: an agent that sends more is at fault. */
export async function collectExec(events: AsyncIterable<ExecEvent>, maxOutputBytes: number): Promise<ExecResult> {
  const stdout: Uint8Array[] = [];
  const stderr: Uint8Array[] = [];
  let held = 0;
  for await (const event of events) {
    if (event.type === "output") {
      held += event.data.length;
      if (held > maxOutputBytes)
        throw new StacyError("guest_protocol", "the sandbox's agent sent more output than was asked for");
      (event.stream === "stderr" ? stderr : stdout).push(event.data);
    } else if (event.type === "exit") {
      const { type: _, ...exit } = event;
      return { ...exit, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr) };
    }
  }
  throw new StacyError("guest_unreachable", "the sandbox's agent ended a command's stream without its exit");
}
