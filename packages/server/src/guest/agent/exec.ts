import { toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { StacyError } from "@stacyvm/contract";
import type { ExecEvent, ExecRequest, ExecResult } from "../guest.ts";
import { ExecRequestSchema } from "../wire/stacyvm/guest/v1/guest_pb.js";
import { encodeEnvelope } from "./envelope.ts";
import { wireExecRequest } from "./exec-events.ts";
import { readExecEvents } from "./exec-reader.ts";
import { guestFailure } from "./failures.ts";
import type { Answer, PlainConnections } from "./plain-connections.ts";

const execPath = "/stacyvm.guest.v1.Guest/Exec";
const execReading = { [Code.NotFound]: "invalid_input" } as const;

/**
 * Exec as Connect's streaming form on an HTTP/1.1 connection: a plain socket moves bulk output several times faster
 * than a multiplexed one, and a stalled reader stalls nobody else.
 */
export async function* streamExec(
  connections: PlainConnections,
  request: ExecRequest,
  signal: AbortSignal,
): AsyncGenerator<ExecEvent> {
  try {
    const answer = await post(connections, execPath, toBinary(ExecRequestSchema, wireExecRequest(request)), signal);
    // A consumer that leaves early ends the process: the agent sees the connection go.
    yield* events(answer);
  } catch (error) {
    throw guestFailure(error, signal, execReading);
  }
}

async function* events({ status, body }: Answer): AsyncGenerator<ExecEvent> {
  if (status !== 200) {
    body.discard();
    throw new StacyError("guest_protocol", `the sandbox's agent answered exec with status ${status}`);
  }
  let exit: ExecEvent | undefined;
  for await (const event of readExecEvents(body)) {
    if (event.type === "end") {
      const failure = endFailure(event.payload);
      if (failure !== undefined) throw failure;
    } else if (event.type === "exit") {
      exit = event;
    } else {
      yield event;
    }
  }
  if (exit === undefined)
    throw new StacyError("guest_unreachable", "the sandbox's agent ended a command's stream without its exit");
  yield exit;
}

/** The error in the end-of-stream message, if there is one. */
export function endFailure(payload: Uint8Array): ConnectError | undefined {
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

/** Sends the one message of a request in Connect's streaming form. */
export function post(
  connections: PlainConnections,
  path: string,
  message: Uint8Array,
  signal: AbortSignal,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  return connections.send(
    {
      method: "POST",
      path,
      headers: { ...headers, "content-type": "application/connect+proto", "connect-protocol-version": "1" },
      body: encodeEnvelope(message),
    },
    signal,
  );
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
      (event.stream === "stderr" ? stderr : stdout).push(Buffer.from(event.data));
    } else if (event.type === "exit") {
      const { type: _, ...exit } = event;
      return { ...exit, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr) };
    }
  }
  throw new StacyError("guest_unreachable", "the sandbox's agent ended a command's stream without its exit");
}
