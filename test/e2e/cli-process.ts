import { spawn } from "node:child_process";
import { join } from "node:path";

export const launcher = join(import.meta.dirname, "../../node_modules/.bin/stacyvm");
/** The machine's own Node, which may be too old: the launcher has to manage. */
export const systemNode = "/usr/bin/node";

export interface Run {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly stdin?: string | Uint8Array;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly onStart?: (pid: number) => void;
  /** Sees what was printed so far, each time that there is more. */
  readonly onOutput?: (stdout: string) => void;
  readonly onError?: (stderr: string) => void;
}

/** Runs a program to its end, as the leader of a process group of its own. */
export const runProgram = (program: string, args: readonly string[], options: RunOptions = {}): Promise<Run> =>
  new Promise((resolve, reject) => {
    const env = { ...process.env, ...options.env };
    const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"], detached: true, cwd: options.cwd, env });
    if (child.pid !== undefined) options.onStart?.(child.pid);
    const out = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const)
      child[name].setEncoding("utf8").on("data", (text: string) => {
        out[name] += text;
        if (name === "stdout") options.onOutput?.(out.stdout);
        else options.onError?.(out.stderr);
      });
    child.on("error", reject);
    child.on("close", (status) => resolve({ status, ...out }));
    child.stdin.on("error", () => {}).end(options.stdin ?? "");
  });
