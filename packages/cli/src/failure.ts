import { ConnectionError, StacyVMError } from "stacyvm";
import type { Output } from "./output.ts";

/** A failure that is the user's to mend: told without a stack. */
export class UsageFailure extends Error {
  override readonly name: string = "UsageFailure";
}

/** What a login left behind has ended. */
export class LoginEnded extends UsageFailure {
  override readonly name = "LoginEnded";
  readonly remediation = "Run: stacyvm login";
}

/** The exit status is not ours: another program's, or that of an interrupt. */
export class ExitWith extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`exit code: ${status}`);
    this.status = status;
  }
}

/** What a failure says, whether it came over the wire or from this host's images. */
interface Told {
  readonly message: string;
  readonly code?: string | undefined;
  readonly reason?: string | undefined;
  readonly remediation?: string | undefined;
  readonly requestId?: string | undefined;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
}

/** Where the command line knows a better way than the API's words for everybody. */
const ownRemediations: Readonly<Record<string, string>> = {
  unauthenticated: "Log in: stacyvm login. Or give the API key: --api-key <key>, or $STACYVM_API_KEY.",
  admin_key_required: "Give an administrator's key: --api-key <key>, or $STACYVM_API_KEY.",
  key_not_found: "See which there are: stacyvm key list.",
  process_not_found: "See which there are: stacyvm ps <id>. Ended ones are kept for a while only.",
  sandbox_not_found: "See which there are: stacyvm list. It may have expired.",
};

const unreachable = "Start a server with: stacyvm serve. Or name another: --server <url>, or $STACYVM_SERVER.";

const textOf = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);

function tell(error: unknown): Told {
  if (!(error instanceof Error)) return { message: String(error) };
  const { message } = error;
  const reason = "reason" in error ? textOf(error.reason) : undefined;
  const given = "remediation" in error ? textOf(error.remediation) : undefined;
  const remediation = ownRemediations[reason ?? ""] ?? given;
  if (!(error instanceof StacyVMError)) return { message, reason, remediation };
  const { code, requestId, details } = error;
  const isUnreachable = error instanceof ConnectionError;
  return { message, code, reason, remediation: isUnreachable ? unreachable : remediation, requestId, details };
}

/** Tells a failure on stderr and returns the exit status: the other program's, else 1. */
export function reportFailure(error: unknown, output: Output): number {
  if (error instanceof ExitWith) return error.status;
  const { message, code, reason, remediation, requestId, details } = tell(error);
  if (output.json) {
    const told = { message, code, reason, remediation, request_id: requestId, details };
    output.errorLine(JSON.stringify({ error: told }));
    return 1;
  }
  output.errorLine(message);
  if (remediation !== undefined) output.errorLine(`  ${remediation}`);
  if (requestId !== undefined) output.errorLine(`  request id: ${requestId}`);
  return 1;
}
