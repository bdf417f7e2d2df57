import { StacyVMError } from "stacyvm";
import type { Output } from "./output.ts";

/** A failure that is the user's to mend: told without a stack. */
export class UsageFailure extends Error {
  override readonly name = "UsageFailure";
}

/** The exit status is another program's, not ours. */
export class ExitWith extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`exit code: ${status}`);
    this.status = status;
  }
}

/** Tells a failure on stderr and returns the exit status: the other program's, else 1. */
export function reportFailure(error: unknown, output: Output): number {
  if (error instanceof ExitWith) return error.status;
  const known = error instanceof StacyVMError ? error : undefined;
  const message = error instanceof Error ? error.message : String(error);
  if (output.json) {
    output.errorLine(
      JSON.stringify({
        error: {
          message,
          code: known?.code,
          reason: known?.reason,
          remediation: known?.remediation,
          request_id: known?.requestId,
        },
      }),
    );
    return 1;
  }
  output.errorLine(message);
  if (known?.remediation !== undefined) output.errorLine(`  ${known.remediation}`);
  if (known?.requestId !== undefined) output.errorLine(`  request id: ${known.requestId}`);
  return 1;
}
