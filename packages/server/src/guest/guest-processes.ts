import type { ExecExit, ExecRequest, OutputStream } from "./guest.ts";

export type ProcessState = "running" | "background" | "exited";

export interface ProcessUsage {
  readonly cpuMs: number;
  readonly memoryBytes: number;
}

/** What the agent knows about a process. Its argv, user, tag and names of children are a sandbox's own text. */
export interface ProcessInfo extends ProcessUsage {
  readonly id: string;
  /** 0: it never started. */
  readonly pid: number;
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly user: string;
  /** Empty where none was given. */
  readonly tag: string;
  readonly state: ProcessState;
  /** How the command itself ended; processes that it started may live on. */
  readonly exit: ExecExit | undefined;
  readonly pty: boolean;
  readonly stdinOpen: boolean;
  readonly startedAtMs: number;
  readonly endedAtMs: number | undefined;
  /** Of the oldest byte that can be replayed, and of the next one to come. */
  readonly firstOffset: number;
  readonly nextOffset: number;
  /** Living ones in its tree, itself included. */
  readonly processes: number;
}

export interface ProcessMember extends ProcessUsage {
  readonly pid: number;
  readonly parentPid: number;
  readonly name: string;
}

/** One step of a process's output; `offset` is that of its first byte. */
export type ProcessEvent =
  | { readonly type: "output"; readonly stream: OutputStream; readonly offset: number; readonly data: Uint8Array }
  /** Lost: overwritten in the ring, or this reader was too slow. */
  | { readonly type: "gap"; readonly offset: number; readonly until: number }
  /** The replay has caught up with the present. */
  | { readonly type: "live"; readonly offset: number }
  | ({ readonly type: "exit" } & ExecExit)
  | { readonly type: "keepalive" };

/**
 * Processes that outlive the call that started them, under ids that the caller chose. Failures are StacyErrors
 * (process_not_found, process_state_conflict, stdin_full …).
 */
export interface GuestProcesses {
  start(id: string, request: Omit<ExecRequest, "maxOutputBytes">, signal: AbortSignal): Promise<ProcessInfo>;
  /** Oldest first; those of plain execs too. */
  list(signal: AbortSignal): Promise<readonly ProcessInfo[]>;
  /** `members`: the living ones of its tree, itself included; bounded. */
  get(id: string, signal: AbortSignal): Promise<ProcessInfo & { readonly members: readonly ProcessMember[] }>;
  /** Resolves when the command has exited, or after the wait with what it is then. */
  wait(id: string, waitMs: number, signal: AbortSignal): Promise<ProcessInfo>;
  /**
   * Output from the offset on, then live. Without `follow` it ends with `live`, or with the exit where there is one
   * already; with it when everything that the process started has ended. Leaving it leaves the process alone.
   */
  attach(
    id: string,
    options: { readonly offset: number; readonly follow: boolean },
    signal: AbortSignal,
  ): AsyncIterable<ProcessEvent>;
  /** All of the data, or none: stdin_full when there is no room for it within the wait. */
  writeStdin(id: string, data: Uint8Array, waitMs: number, signal: AbortSignal): Promise<void>;
}
