import { StacyError } from "@stacyvm/contract";
import type { ExecEvent, ExecResult, ExecRequest as GuestExecRequest } from "../guest/guest.ts";
import { type Deadline, withDeadline } from "../lib/deadline.ts";
import { execTimeoutMs } from "../sandbox/limits.ts";
import type { SandboxRecord } from "../sandbox/sandbox.ts";
import { about } from "./about.ts";
import { ownerLimits } from "./admit.ts";
import { type Command, guestCommand } from "./command.ts";
import type { Caller, Context } from "./context.ts";
import { findServing } from "./find.ts";
import { type Facts, measured } from "./measure.ts";

/** Output that a buffered exec holds unless the caller asks for less or more, bytes. */
export const defaultMaxOutputBytes = 16 * 1024 * 1024;
/** The most a buffered exec may be asked to hold, bytes. */
export const maxOutputBytesMax = 64 * 1024 * 1024;
/** What is added to an exec's own deadline before an agent that says nothing is given up, milliseconds. */
const silenceMs = 5_000;

export interface ExecRequest extends Command {
  readonly stdin?: string;
  readonly stdinOpen?: boolean;
  /** Absent or 0: the default, else the maximum. */
  readonly timeoutMs?: number;
  readonly maxOutputBytes?: number;
  readonly pty?: { readonly cols: number; readonly rows: number };
}

/** Runs a command to its end. Throws exec_timeout with the partial output as details. */
export async function exec(
  context: Context,
  id: string,
  request: ExecRequest,
  caller: Caller,
  signal: AbortSignal,
): Promise<ExecResult> {
  return await measured(context, described(id, request, caller, "exec"), async (facts) => {
    const { record, runtime } = await findServing(context, id, caller, signal);
    facts.record = record;
    const maxOutputBytes = request.maxOutputBytes || defaultMaxOutputBytes;
    const wanted = { ...(await guestRequest(context, record, request)), maxOutputBytes };
    context.publish({ type: "exec.started", ...about(record) });
    using silence = untilSilence(wanted, signal);
    const result = await runtime.guest.run(wanted, silence.signal);
    if (result.timedOut) {
      throw new StacyError("exec_timeout", `exec timeout: ${id}`, {
        details: {
          stdout: Buffer.from(result.stdout).toString("utf8"),
          stderr: Buffer.from(result.stderr).toString("utf8"),
          exit_code: result.exitCode,
          truncated: result.truncated,
        },
      });
    }
    context.publish({ type: "exec.completed", ...about(record) });
    facts.detail = `exit=${result.exitCode} duration=${Math.round(result.durationMs)}ms mode=${request.mode ?? ""}`;
    return result;
  });
}

export interface StreamedExec {
  readonly events: AsyncIterable<ExecEvent>;
  readonly record: SandboxRecord;
  readonly guest: import("../guest/guest.ts").Guest;
}

/**
 * Starts a command and hands on its events, the first of which has arrived when this resolves: what fails before it
 * throws here. A consumer that stops early ends the process tree.
 */
export async function execStream(
  context: Context,
  id: string,
  request: ExecRequest,
  caller: Caller,
  signal: AbortSignal,
): Promise<StreamedExec> {
  const started = Promise.withResolvers<StreamedExec>();
  const finished = Promise.withResolvers<void>();
  void measured(context, described(id, request, caller, "exec_stream"), async (facts) => {
    const { record, runtime } = await findServing(context, id, caller, signal);
    facts.record = record;
    const wanted = await guestRequest(context, record, request);
    using silence = untilSilence(wanted, signal);
    const source = runtime.guest.exec(wanted, silence.signal)[Symbol.asyncIterator]();
    const first = await source.next();
    started.resolve({ record, guest: runtime.guest, events: follow(first, source, facts, finished) });
    await finished.promise;
  }).catch((error: unknown) => started.reject(error));
  return await started.promise;
}

async function* follow(
  first: IteratorResult<ExecEvent>,
  source: AsyncIterator<ExecEvent>,
  facts: Facts,
  finished: PromiseWithResolvers<void>,
): AsyncGenerator<ExecEvent> {
  try {
    for (let next = first; next.done !== true; next = await source.next()) {
      if (next.value.type === "exit") facts.detail = `exit=${next.value.exitCode}`;
      yield next.value;
    }
    finished.resolve();
  } catch (error) {
    finished.reject(error);
    throw error;
  } finally {
    facts.detail ??= "left by the client";
    await source.return?.();
    finished.resolve();
  }
}

function described(id: string, request: ExecRequest, caller: Caller, operation: "exec" | "exec_stream") {
  return { operation, action: "exec", sandboxId: id, resource: request.command, caller };
}

async function guestRequest(context: Context, record: SandboxRecord, request: ExecRequest): Promise<GuestExecRequest> {
  const command = guestCommand(record, request);
  const limits = await ownerLimits(context, record, record.ownerId);
  const timeoutMs = execTimeoutMs(request.timeoutMs, context.limits.defaultExecTimeoutMs, limits.maxExecTimeoutMs);
  if (request.maxOutputBytes !== undefined && request.maxOutputBytes > maxOutputBytesMax) {
    throw new StacyError("invalid_input", `invalid input: max_output_bytes must be ${maxOutputBytesMax} or fewer`);
  }
  return {
    ...command,
    timeoutMs,
    ...(request.stdin === undefined ? {} : { stdin: Buffer.from(request.stdin) }),
    ...(request.stdinOpen === undefined ? {} : { stdinOpen: request.stdinOpen }),
    ...(request.pty === undefined ? {} : { pty: request.pty }),
  };
}

/** An agent that keeps silent past the deadline it was given is not waited for. */
function untilSilence(request: GuestExecRequest, signal: AbortSignal): Deadline {
  if (!request.timeoutMs) return { signal, [Symbol.dispose]: () => {} };
  return withDeadline(signal, request.timeoutMs + silenceMs);
}
