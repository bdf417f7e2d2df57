import { spawn } from "node:child_process";

export interface CommandResult {
  readonly ok: boolean;
  /** Both streams in order of arrival; the middle is left out above `maxOutputBytes`. */
  readonly output: string;
}

export interface CommandOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The whole process group is killed then, and the command counts as failed. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

const maxOutputBytes = 64 * 1024 * 1024;

/** Runs argv in a process group of its own and keeps what it prints. Never throws for a command that fails. */
export const runCommand = async (argv: readonly string[], options: CommandOptions): Promise<CommandResult> => {
  const [command = "", ...args] = argv;
  const chunks: Buffer[] = [];
  let size = 0;
  const keep = (chunk: Buffer): void => {
    if (size < maxOutputBytes) chunks.push(chunk);
    size += chunk.length;
  };
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const killGroup = (): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    } catch {
      // The group is gone already.
    }
  };
  let note = "";
  const timer = setTimeout(() => {
    note = `\nkilled after ${options.timeoutMs / 1000} s\n`;
    killGroup();
  }, options.timeoutMs);
  options.signal.addEventListener("abort", killGroup);
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  const ok = await new Promise<boolean>((resolve) => {
    child.once("error", (error) => {
      note = `${command}: ${error.message}\n`;
      resolve(false);
    });
    child.once("close", (code) => resolve(code === 0));
    // What the command left behind could hold the pipes open for ever.
    child.once("exit", killGroup);
  });
  clearTimeout(timer);
  options.signal.removeEventListener("abort", killGroup);
  const cut = size > maxOutputBytes ? `\n(output above ${maxOutputBytes} bytes left out)\n` : "";
  return { ok: ok && note === "", output: Buffer.concat(chunks).toString("utf8") + cut + note };
};
