import { posix } from "node:path";
import type { ExecRequest as GuestExecRequest } from "../guest/guest.ts";
import { execArgv, parseExecMode } from "../sandbox/exec-mode.ts";
import { guestPath, workspacePath } from "../sandbox/guest-path.ts";
import type { SandboxRecord } from "../sandbox/sandbox.ts";
import { checkUser } from "../sandbox/user.ts";

/** What a caller wants to run, and where, and as whom. */
export interface Command {
  readonly command: string;
  readonly args: readonly string[];
  readonly mode?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly workdir?: string;
  readonly user?: string;
}

/** The command as the sandbox may run it; its own user and environment are the agent's to add. Throws invalid_input. */
export function guestCommand(
  record: SandboxRecord,
  { command, args, mode, env, workdir = "", user = "" }: Command,
): Pick<GuestExecRequest, "argv" | "cwd" | "env" | "user"> {
  checkUser(record.security, user);
  const own = record.workdir || workspacePath;
  return {
    argv: execArgv(parseExecMode(mode), command, args),
    cwd: workdir === "" ? own : guestPath(posix.resolve(own, workdir)),
    ...(env === undefined ? {} : { env }),
    ...(user === "" ? {} : { user }),
  };
}
