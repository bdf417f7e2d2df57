import type { OnReadOpts } from "node:net";
import type { Duplex, Readable } from "node:stream";
import type { GuestFolders } from "./guest-folders.ts";
import type { GuestPorts } from "./guest-ports.ts";
import type { GuestProcesses } from "./guest-processes.ts";
import type { GuestUploads } from "./guest-uploads.ts";
import type { WatchFolder } from "./guest-watch.ts";

/** Which output a chunk came from. */
export type OutputStream = "stdout" | "stderr" | "pty";

export interface ExecRequest {
  /** Never given to a shell; shell mode is made into argv before it comes here. */
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Absolute. */
  readonly cwd?: string;
  /** Name, uid or uid:gid inside the sandbox. */
  readonly user?: string;
  readonly stdin?: Uint8Array;
  readonly stdinOpen?: boolean;
  /** 0 or absent: no deadline. */
  readonly timeoutMs?: number;
  /** Both streams together; 0 or absent: unlimited. */
  readonly maxOutputBytes?: number;
  readonly pty?: { readonly cols: number; readonly rows: number };
  /** A name of the caller's own. */
  readonly tag?: string;
}

export interface ExecExit {
  /** 128+n after death by signal n. */
  readonly exitCode: number;
  readonly signal: number;
  readonly timedOut: boolean;
  readonly truncated: boolean;
  /** Descendants of the command live on. */
  readonly background: boolean;
  readonly durationMs: number;
}

export type ExecEvent =
  | { readonly type: "start"; readonly processId: string; readonly pid: number }
  /** `data` is valid until the next event is asked for: its memory is used again. */
  | { readonly type: "output"; readonly stream: OutputStream; readonly data: Uint8Array }
  | ({ readonly type: "exit" } & ExecExit);

export interface ExecResult extends ExecExit {
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
}

export type FileType = "file" | "directory" | "symlink" | "other";

export interface FileEntry {
  /** Absolute. */
  readonly path: string;
  readonly type: FileType;
  readonly sizeBytes: number;
  /** Permission bits, 0 to 0o7777. */
  readonly mode: number;
  readonly modifiedAtMs: number;
}

/** Headers of a file's answer that may be passed on, already checked. */
export interface FileContent {
  /** 200, 206, 304, 412 or 416. */
  readonly status: number;
  readonly sizeBytes: number | undefined;
  readonly etag: string | undefined;
  readonly contentRange: string | undefined;
  readonly modifiedAt: string | undefined;
  /** Must be read to its end, left, or discarded. Each part is valid until the next one is asked for. */
  readonly body: AsyncIterable<Buffer> & { readonly discard: () => void };
}

export interface ReadFileOptions {
  readonly method?: "GET" | "HEAD";
  readonly range?: string;
  readonly ifNoneMatch?: string;
}

export interface GuestUsage {
  readonly cpuUs: number;
  readonly memoryBytes: number;
  readonly memoryLimitBytes: number;
  readonly processes: number;
  readonly diskUsedBytes: number;
  readonly diskTotalBytes: number;
}

/** What is absent stays as it is. */
export interface GuestSettings {
  readonly env?: Readonly<Record<string, string>>;
  /** Name, uid or uid:gid inside the sandbox. */
  readonly user?: string;
  /** Absolute. Made for the user where it is missing; the usual one is given to that user. */
  readonly workdir?: string;
}

/**
 * What can be done inside a sandbox. Every path is absolute. Everything that comes back has been checked and bounded:
 * the other end is hostile. Failures are StacyErrors (file_not_found, not_a_file, disk_full, guest_unreachable …).
 */
export interface Guest extends AsyncDisposable {
  /**
   * A command's events in order: start, output…, exit. Ends only with `exit` or a throw. Aborting the signal kills the
   * process tree. Its bytes travel on a connection of their own.
   */
  exec(request: ExecRequest, signal: AbortSignal): AsyncIterable<ExecEvent>;
  /** The buffered form; `maxOutputBytes` must be set. */
  run(request: ExecRequest & { readonly maxOutputBytes: number }, signal: AbortSignal): Promise<ExecResult>;
  writeStdin(processId: string, data: Uint8Array, signal: AbortSignal): Promise<void>;
  closeStdin(processId: string, signal: AbortSignal): Promise<void>;
  resizePty(
    processId: string,
    size: { readonly cols: number; readonly rows: number },
    signal: AbortSignal,
  ): Promise<void>;
  /** `signalNumber` goes to the whole tree when `tree`. */
  signalProcess(processId: string, signalNumber: number, tree: boolean, signal: AbortSignal): Promise<void>;

  /** Processes that outlive the call that started them. */
  readonly processes: GuestProcesses;

  /** Whole folders, and making them. */
  readonly folders: GuestFolders;

  readFile(path: string, options: ReadFileOptions, signal: AbortSignal): Promise<FileContent>;
  /** Parents are made; the content appears under its name at once or not at all. */
  writeFile(
    path: string,
    content: Readable | Uint8Array,
    options: { readonly mode?: number },
    signal: AbortSignal,
  ): Promise<void>;
  stat(path: string, signal: AbortSignal): Promise<FileEntry>;
  /** Down to `depth` levels, 1 without one; sorted by name, each directory before what is in it. */
  list(path: string, signal: AbortSignal, options?: { readonly depth?: number }): Promise<readonly FileEntry[]>;
  remove(path: string, options: { readonly recursive: boolean }, signal: AbortSignal): Promise<void>;
  move(from: string, to: string, signal: AbortSignal): Promise<void>;
  chmod(path: string, mode: number, signal: AbortSignal): Promise<void>;
  /** Sorted; `**` crosses directories. */
  glob(pattern: string, signal: AbortSignal): Promise<readonly string[]>;

  /** Files that arrive in pieces. */
  readonly uploads: GuestUploads;

  readonly ports: GuestPorts;
  readonly watch: WatchFolder;

  usage(signal: AbortSignal): Promise<GuestUsage>;
  /**
   * What every later process starts with where its request says nothing; kept by the agent. Throws invalid_input for a
   * user who doesn't exist or can't be, and for a directory that can't be made.
   */
  configure(settings: GuestSettings, signal: AbortSignal): Promise<void>;
  /** Resolves once the agent answers, within the signal. */
  ready(signal: AbortSignal): Promise<void>;
}

/** How to reach an agent: a fresh connection for each call, which reads into the given memory where there is any. */
export type Dial = (onread?: OnReadOpts) => AgentConnection;

/** What of a net.Socket is needed where an agent is spoken to. */
export interface AgentConnection extends Duplex {
  /** Emits `timeout` after so long without a byte; 0: never. */
  setTimeout(timeoutMs: number): this;
  ref(): this;
  unref(): this;
}

export type ConnectGuest = (options: {
  readonly dial: Dial;
  readonly label: string;
  /** The dial's connections share one stream already, so calls need no multiplexing of their own; default false. */
  readonly multiplexed?: boolean;
}) => Guest;
