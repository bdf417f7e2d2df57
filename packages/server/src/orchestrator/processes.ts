import { isProcessId, StacyError } from "@stacyvm/contract";
import type { Guest } from "../guest/guest.ts";
import type { ProcessEvent, ProcessInfo, ProcessMember } from "../guest/guest-processes.ts";
import { formatDuration } from "../lib/duration.ts";
import { resumed } from "../lib/resumed.ts";
import type { SandboxRecord } from "../sandbox/sandbox.ts";
import { type Command, guestCommand } from "./command.ts";
import type { Caller, Context } from "./context.ts";
import { findServing } from "./find.ts";
import { type Facts, measured } from "./measure.ts";

/** The longest deadline of a process, milliseconds; without one it lives as long as its sandbox. */
const processTimeoutMaxMs = 30 * 24 * 3_600_000;
/** The longest wait for a process's exit that one call may ask for, milliseconds. */
const waitTimeoutMaxMs = 10 * 60_000;
/** The wait of a call that names none, milliseconds. */
const defaultWaitTimeoutMs = 30_000;
/** How long input waits for a process that doesn't read, milliseconds. */
const stdinWaitMs = 30_000;
/** Bytes of input handed to the agent at once; far below what it queues for one process. */
const stdinPieceBytes = 64 * 1024;

export interface ProcessRequest extends Command {
  /** Keeps stdin open. */
  readonly stdin: boolean;
  readonly tag?: string;
  readonly pty?: { readonly cols: number; readonly rows: number };
  readonly timeoutMs?: number;
}

/** Whose sandbox. */
export interface SandboxTarget {
  readonly id: string;
  readonly caller: Caller;
  readonly signal: AbortSignal;
}

/** Which process in it. */
export interface ProcessTarget extends SandboxTarget {
  readonly processId: string;
}

/** Output of which the first event has arrived. */
export interface ProcessOutput {
  /** Of the first byte that comes, after a gap where bytes are lost. */
  readonly offset: number;
  /** To be consumed, or its signal aborted. */
  readonly events: AsyncIterable<ProcessEvent>;
}

type Action = "start" | "output" | "attach" | "stdin" | "close_stdin" | "signal";

/** What clients do with processes that outlive their connection. The agent holds them; nothing of them is kept here. */
export function processUseCases(context: Context) {
  const serving = async ({ id, caller, signal }: SandboxTarget) => await findServing(context, id, caller, signal);

  const guestOf = async (target: ProcessTarget): Promise<Guest> => {
    const { runtime } = await serving(target);
    if (!isProcessId(target.processId)) throw notFound(target.processId);
    return runtime.guest;
  };

  const audited = async <T>(
    target: SandboxTarget,
    action: Action,
    resource: string,
    work: (found: { readonly guest: Guest; readonly record: SandboxRecord }, facts: Facts) => Promise<T>,
  ): Promise<T> => {
    const { id: sandboxId, caller } = target;
    const what = { operation: "process", action: `process.${action}`, sandboxId, resource, caller } as const;
    return await measured(context, what, async (facts) => {
      const { record, runtime } = await serving(target);
      facts.record = record;
      return await work({ guest: runtime.guest, record }, facts);
    });
  };

  const on = <T>(target: ProcessTarget, action: Action, work: (guest: Guest, facts: Facts) => Promise<T>): Promise<T> =>
    audited(target, action, target.processId, async ({ guest }, facts) => {
      if (!isProcessId(target.processId)) throw notFound(target.processId);
      return await work(guest, facts);
    });

  const attach = (target: ProcessTarget, action: "output" | "attach", offset: number, follow: boolean) =>
    on(target, action, async (guest, facts): Promise<ProcessOutput> => {
      facts.detail = `offset=${offset}`;
      const source = guest.processes
        .attach(target.processId, { offset, follow }, target.signal)
        [Symbol.asyncIterator]();
      const first = await source.next();
      return { offset: firstOffset(first, offset), events: resumed(first, source) };
    });

  return {
    start: (target: SandboxTarget, request: ProcessRequest): Promise<ProcessInfo> =>
      audited(target, "start", request.command, async ({ guest, record }, facts) => {
        checkTimeout(request.timeoutMs);
        const { timeoutMs, pty, tag, stdin } = request;
        const id = context.ids.process();
        facts.detail = `process=${id}`;
        const wanted = {
          ...guestCommand(record, request),
          stdinOpen: stdin,
          ...(timeoutMs === undefined ? {} : { timeoutMs }),
          ...(pty === undefined ? {} : { pty }),
          ...(tag === undefined ? {} : { tag }),
        };
        return await guest.processes.start(id, wanted, target.signal);
      }),
    /** Those that were started here, oldest first. */
    list: async (target: SandboxTarget): Promise<readonly ProcessInfo[]> => {
      const { runtime } = await serving(target);
      return (await runtime.guest.processes.list(target.signal)).filter(({ id }) => isProcessId(id));
    },
    get: async (target: ProcessTarget): Promise<ProcessInfo & { readonly members: readonly ProcessMember[] }> =>
      await (await guestOf(target)).processes.get(target.processId, target.signal),
    /** The process when it has exited, or as it is when the time is over. */
    wait: async (target: ProcessTarget, timeoutMs = defaultWaitTimeoutMs): Promise<ProcessInfo> => {
      checkWait(timeoutMs);
      return await (await guestOf(target)).processes.wait(target.processId, Math.ceil(timeoutMs), target.signal);
    },
    output: (target: ProcessTarget, offset: number, follow: boolean) => attach(target, "output", offset, follow),
    /** As output that is followed, for a client that will send input too. */
    attach: (target: ProcessTarget, offset: number) => attach(target, "attach", offset, true),
    /** Writes as the input comes; how many bytes. What was written before a failure stands in its details. */
    writeStdin: (target: ProcessTarget, input: AsyncIterable<Uint8Array>): Promise<number> =>
      on(target, "stdin", async (guest, facts) => {
        let written = 0;
        try {
          for await (const piece of pieces(input)) {
            await guest.processes.writeStdin(target.processId, piece, stdinWaitMs, target.signal);
            written += piece.length;
          }
          // Nothing at all is still for a process that takes input.
          if (written === 0)
            await guest.processes.writeStdin(target.processId, new Uint8Array(), stdinWaitMs, target.signal);
        } catch (error) {
          throw withWritten(error, written);
        }
        facts.detail = `bytes=${written}`;
        return written;
      }),
    /** One message of a client that is attached already; not audited again. */
    sendInput: async (target: ProcessTarget, data: Uint8Array): Promise<void> => {
      const guest = await guestOf(target);
      for (const piece of cut(data))
        await guest.processes.writeStdin(target.processId, piece, stdinWaitMs, target.signal);
    },
    closeStdin: (target: ProcessTarget): Promise<void> =>
      on(target, "close_stdin", (guest) => guest.closeStdin(target.processId, target.signal)),
    signal: (target: ProcessTarget, number: number, tree: boolean): Promise<void> =>
      on(target, "signal", async (guest, facts) => {
        facts.detail = `signal=${number} tree=${tree}`;
        await guest.signalProcess(target.processId, number, tree, target.signal);
      }),
    resize: async (target: ProcessTarget, size: { readonly cols: number; readonly rows: number }): Promise<void> =>
      await (await guestOf(target)).resizePty(target.processId, size, target.signal),
  };
}

export type ProcessUseCases = ReturnType<typeof processUseCases>;

const notFound = (processId: string): StacyError =>
  new StacyError("process_not_found", `process ${JSON.stringify(processId)} does not exist`);

const outside = (field: string, range: string): StacyError =>
  new StacyError("invalid_input", `invalid input: ${field} must be ${range}`);

function checkTimeout(timeoutMs: number | undefined): void {
  if (timeoutMs === undefined || (timeoutMs >= 1 && timeoutMs <= processTimeoutMaxMs)) return;
  throw outside("timeout", `from 1ms to ${formatDuration(processTimeoutMaxMs)}`);
}

function checkWait(timeoutMs: number): void {
  if (timeoutMs < 0 || timeoutMs > waitTimeoutMaxMs) {
    throw outside("timeout", `from 0s to ${formatDuration(waitTimeoutMaxMs)}`);
  }
}

function firstOffset(first: IteratorResult<ProcessEvent>, asked: number): number {
  if (first.done === true) return asked;
  const event = first.value;
  if (event.type === "gap") return event.until;
  return event.type === "output" || event.type === "live" ? event.offset : asked;
}

function* cut(data: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < data.length; at += stdinPieceBytes) yield data.subarray(at, at + stdinPieceBytes);
}

async function* pieces(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const data of input) yield* cut(data);
}

function withWritten(error: unknown, written: number): unknown {
  if (!(error instanceof StacyError)) return error;
  return new StacyError(error.reason, error.message, { cause: error, details: { written } });
}
