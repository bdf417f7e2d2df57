import { spawn } from "node:child_process";
import { imageBounds } from "./bounds.ts";

export interface ToolRun {
  readonly argv: readonly [string, ...string[]];
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Added to a PATH and nothing else. */
  readonly env?: Readonly<Record<string, string>>;
  /** Each line of either output, as it comes. */
  readonly onLine?: (line: string) => void;
}

/** A tool that ended with a status other than 0. */
export class ToolFailure extends Error {
  override readonly name = "ToolFailure";
  /** The last of what it printed. */
  readonly output: string;

  constructor(tool: string, output: string, options?: { readonly cause?: unknown }) {
    super(`${tool} failed: ${output.trim().split("\n").at(-1) ?? ""}`, options);
    this.output = output;
  }
}

/**
 * Runs a program of the distribution, never a shell. Resolves to its standard output. On abort or timeout the program
 * gets SIGTERM, so that it cleans up after itself, and SIGKILL when it takes too long over that.
 */
export async function runTool(run: ToolRun): Promise<string> {
  const [program, ...args] = run.argv;
  const signal = AbortSignal.any([run.signal, AbortSignal.timeout(run.timeoutMs)]);
  signal.throwIfAborted();
  const child = spawn(program, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C.UTF-8", ...run.env },
  });
  const output = { stdout: "", stderr: "" };
  const collect = (name: "stdout" | "stderr") => {
    let line = "";
    child[name].setEncoding("utf8");
    child[name].on("data", (text: string) => {
      // The head of standard output is a document; of the rest only the end is of use.
      if (name === "stdout") output.stdout = (output.stdout + text).slice(0, imageBounds.toolOutputBytes);
      else output.stderr = (output.stderr + text).slice(-imageBounds.toolLineBytes * 4);
      const lines = (line + text).slice(-imageBounds.toolLineBytes * 4).split(/[\r\n]+/);
      line = lines.pop() ?? "";
      for (const each of lines) if (each !== "") run.onLine?.(each.slice(0, imageBounds.toolLineBytes));
    });
  };
  collect("stdout");
  collect("stderr");
  let killTimer: NodeJS.Timeout | undefined;
  const stop = () => {
    child.kill("SIGTERM");
    killTimer = setTimeout(() => child.kill("SIGKILL"), 10_000);
  };
  signal.addEventListener("abort", stop);
  try {
    const status = await new Promise<number | null>((resolve, reject) => {
      child.on("error", (cause) =>
        reject(new ToolFailure(program, `it could not be started: ${cause.message}`, { cause })),
      );
      child.on("close", resolve);
    });
    run.signal.throwIfAborted();
    if (signal.aborted) throw new ToolFailure(program, `it took longer than ${run.timeoutMs / 1000} seconds`);
    if (status !== 0) throw new ToolFailure(program, output.stderr === "" ? output.stdout : output.stderr);
    return output.stdout;
  } finally {
    clearTimeout(killTimer);
    signal.removeEventListener("abort", stop);
  }
}
