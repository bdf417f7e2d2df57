import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { findProgram } from "../lib/find-program.ts";
import { imageBounds } from "./bounds.ts";

export interface ToolOptions {
  /** Program and arguments; never through a shell. */
  readonly argv: readonly [string, ...string[]];
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** Each line of stdout (unless `stdout` takes it) and stderr as it comes. */
  readonly onLine?: ((line: string) => void) | undefined;
  /** Consumes stdout; awaited before the tool's end counts. */
  readonly stdout?: (stdout: Readable) => Promise<void>;
  /** Beside PATH and the locale; nothing of the server's own environment, which holds its secrets, is passed on. */
  readonly env?: Readonly<Record<string, string>>;
  /** Replaced wherever the tool prints them. */
  readonly secrets?: readonly string[];
}

const toolPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** A tool ended with something other than 0, or could not be started, or ran out of time. */
export class ToolError extends Error {
  override readonly name = "ToolError";
  readonly exitCode: number | undefined;
  readonly timedOut: boolean;
  /** The last of what it printed to stderr. */
  readonly stderr: string;

  constructor(
    message: string,
    options: { exitCode?: number | undefined; timedOut: boolean; stderr: string; cause?: unknown },
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.exitCode = options.exitCode;
    this.timedOut = options.timedOut;
    this.stderr = options.stderr;
  }
}

/** Runs a host tool to its end. Its whole process group is killed on abort, at the time limit, and when `stdout` throws. */
export async function runTool(options: ToolOptions): Promise<void> {
  options.signal.throwIfAborted();
  const [program, ...args] = options.argv;
  const child = spawn(findProgram(program), args, {
    stdio: ["ignore", "pipe", "pipe"],
    detached: true, // A group of its own: what it forks is killed with it.
    env: { PATH: toolPath, LC_ALL: "C.UTF-8", ...options.env },
  });
  const kill = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    } catch {
      // The group is gone already.
    }
  };
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    kill();
  }, options.timeoutMs);
  options.signal.addEventListener("abort", kill);

  let stderr = "";
  const onLine = (line: string) => options.onLine?.(line.slice(0, imageBounds.toolLineBytes));
  readLines(child.stderr, (printed) => {
    const line = (options.secrets ?? []).reduce((text, secret) => text.replaceAll(secret, "[redacted]"), printed);
    stderr = `${stderr}${line}\n`.slice(-imageBounds.toolStderrBytes);
    onLine(line);
  });
  const consumed = options.stdout?.(child.stdout) ?? Promise.resolve(readLines(child.stdout, onLine));
  const consumption = consumed.then(
    () => undefined,
    (error: unknown) => {
      kill();
      return { error };
    },
  );
  try {
    const exit = await new Promise<number | undefined>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => resolve(code ?? undefined));
    }).catch((cause: unknown) => {
      throw new ToolError(`${program} could not be started`, { timedOut: false, stderr: "", cause });
    });
    const failure = await consumption;
    options.signal.throwIfAborted();
    if (timedOut) throw new ToolError(`${program} ran longer than ${options.timeoutMs} ms`, { timedOut, stderr });
    if (failure !== undefined) throw failure.error;
    if (exit !== 0) throw new ToolError(`${program} failed`, { exitCode: exit, timedOut, stderr });
  } finally {
    clearTimeout(timer);
    options.signal.removeEventListener("abort", kill);
    kill();
  }
}

/** Lines longer than the bound are cut by whoever takes them; a line without end is bounded by the tool's own time. */
function readLines(stream: Readable, onLine: (line: string) => void): void {
  createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on("line", onLine);
}
