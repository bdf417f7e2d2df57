import { StacyError } from "@stacyvm/contract";
import type { ExecRequest as GuestExecRequest } from "../guest/guest.ts";
import { execArgv, parseExecMode } from "../sandbox/exec-mode.ts";
import { guestPath, workspacePath } from "../sandbox/guest-path.ts";
import type { SandboxRecord } from "../sandbox/sandbox.ts";

/** Uid that `restricted` sandboxes run as. */
const restrictedUid = "1000";

/** What a caller wants to run, and where, and as whom. */
export interface Command {
  readonly command: string;
  readonly args: readonly string[];
  readonly mode?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly workdir?: string;
  readonly user?: string;
}

/** The command as the sandbox may run it. Throws invalid_input. */
export function guestCommand(
  record: SandboxRecord,
  { command, args, mode, env, workdir, user }: Command,
): Pick<GuestExecRequest, "argv" | "cwd" | "env" | "user"> {
  if (record.security === "restricted" && user !== undefined && user !== "" && user.split(":")[0] !== restrictedUid) {
    throw new StacyError("invalid_input", "invalid input: user must be 1000 under the restricted security profile");
  }
  return {
    argv: execArgv(parseExecMode(mode), command, args),
    cwd: workdir === undefined || workdir === "" ? workspacePath : guestPath(workdir),
    ...(env === undefined ? {} : { env }),
    ...(user === undefined || user === "" ? {} : { user }),
  };
}
