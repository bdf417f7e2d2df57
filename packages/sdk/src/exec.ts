import { durationMs } from "./duration.ts";
import { ConnectionError, StacyVMError } from "./errors.ts";
import { chunkOf, objectsOf } from "./ndjson.ts";
import type { Call, CallOptions, Transport } from "./transport.ts";
import type { StreamChunk } from "./wire.ts";

export interface ExecOptions extends CallOptions {
  /** In shell mode each is quoted and appended to the command; in argv mode they are the arguments. */
  args?: readonly string[] | undefined;
  /** `shell` (default): the command is a line for `sh -c`. `argv`: a program's name, no shell involved. */
  mode?: "shell" | "argv" | undefined;
  env?: Record<string, string> | undefined;
  /** Default `/workspace`. */
  workdir?: string | undefined;
  /** Go duration such as `90s`, after which the whole process tree is ended; the call waits at least as long. */
  timeout?: string | undefined;
  /** Name or uid inside the sandbox. */
  user?: string | undefined;
  /** Fed to the command, then closed. */
  stdin?: string | undefined;
  /** Both streams together, bytes; the head is kept. */
  maxOutputBytes?: number | undefined;
}

/** What a raw exec gives back. Its exit status travels in a trailer, which fetch doesn't show: ask for text to have it. */
export interface ExecBytes {
  stdout: Uint8Array;
}

/** How a streamed command ended. */
export interface ExecExit {
  /** null: the server ended the stream without saying. */
  exit_code: number | null;
  timed_out: boolean;
  truncated: boolean;
}

/** Output as it comes; `done` settles when the loop over it has ended. */
export type ExecStream = AsyncGenerator<StreamChunk, void, undefined> & {
  /** Rejects when the stream broke, or was left before its end. */
  readonly done: Promise<ExecExit>;
};

/** What the answer may take beyond the command's own deadline, milliseconds. */
const graceMs = 10_000;

/** The body on the wire. The mode always stands in it, so that no server's default decides whether a shell reads it. */
export function execBody(command: string, options: ExecOptions, stream: boolean): Record<string, unknown> {
  return {
    command,
    mode: options.mode ?? "shell",
    args: options.args,
    env: options.env,
    workdir: options.workdir,
    timeout: options.timeout,
    user: options.user,
    stdin: options.stdin,
    max_output_bytes: options.maxOutputBytes,
    stream: stream ? true : undefined,
  };
}

/** The call's limits: a command's own timeout stretches the client's, an explicit `timeoutMs` replaces both. */
export function execLimits(options: ExecOptions, clientTimeoutMs: number): CallOptions {
  const ownMs = options.timeout === undefined ? undefined : durationMs(options.timeout);
  const stretched =
    ownMs === undefined || clientTimeoutMs <= 0 ? clientTimeoutMs : Math.max(clientTimeoutMs, ownMs + graceMs);
  return { signal: options.signal, timeoutMs: options.timeoutMs ?? stretched };
}

const exitOf = (line: Record<string, unknown>): ExecExit => ({
  exit_code: typeof line.exit_code === "number" ? line.exit_code : null,
  timed_out: line.timed_out === true,
  truncated: line.truncated === true,
});

/** Starts the call at the first step of the loop, hands on output, and keeps the exit line for `done`. */
export function execStream(transport: Transport, call: Call): ExecStream {
  const settled = Promise.withResolvers<ExecExit>();
  // Whoever never asks for the end must not be ended by its failure.
  settled.promise.catch(() => {});
  async function* output(): AsyncGenerator<StreamChunk, void, undefined> {
    let exit: ExecExit = { exit_code: null, timed_out: false, truncated: false };
    let ended = false;
    try {
      for await (const line of objectsOf(await transport.stream(call))) {
        if (typeof line.error === "string") throw new StacyVMError(line.error, "INTERNAL_ERROR");
        if (line.stream === "exit") exit = exitOf(line);
        else yield chunkOf(line);
      }
      ended = true;
      settled.resolve(exit);
    } catch (error) {
      const failure = failureOf(call, error);
      settled.reject(failure);
      throw failure;
    } finally {
      if (!ended) settled.reject(new StacyVMError("The stream was left before its end"));
    }
  }
  return Object.defineProperty(output(), "done", { value: settled.promise }) as ExecStream;
}

function failureOf(call: Call, error: unknown): unknown {
  if (call.options?.signal?.aborted) return call.options.signal.reason;
  if (error instanceof StacyVMError) return error;
  return new ConnectionError("The connection was lost before the command's end was known", { cause: error });
}
