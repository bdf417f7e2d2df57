import { Code, ConnectError } from "@connectrpc/connect";
import { type ErrorReason, StacyError } from "@stacyvm/contract";

/** Longest text of an agent that reaches a caller or a log, characters. */
const agentTextMax = 500;

/** An agent's text made harmless: one line, printable, bounded. */
export function agentText(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
  return text.slice(0, agentTextMax).replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, " ");
}

const unreachableCodes = new Set(["ECONNREFUSED", "ENOENT", "ECONNRESET", "EPIPE", "ENOTCONN", "EAGAIN"]);

const byConnectCode: Partial<Record<Code, ErrorReason>> = {
  [Code.InvalidArgument]: "invalid_input",
  [Code.NotFound]: "file_not_found",
  [Code.AlreadyExists]: "already_exists",
  [Code.PermissionDenied]: "file_permission_denied",
  [Code.ResourceExhausted]: "sandbox_limit",
  [Code.FailedPrecondition]: "state_conflict",
  [Code.Unavailable]: "guest_unreachable",
  [Code.Aborted]: "guest_unreachable",
  [Code.Unimplemented]: "not_supported",
};

/** How one call reads the agent's codes where it differs from the general reading. */
export type FailureReading = Partial<Record<Code, ErrorReason>>;

/**
 * The caller's view of whatever a call to an agent threw. An abort of our own comes through as the signal's reason;
 * everything that the agent could have made up is an agent's fault.
 */
export function guestFailure(error: unknown, signal: AbortSignal, reading: FailureReading = {}): unknown {
  if (signal.aborted) return isTimeout(signal.reason) ? unreachableOr(error, "guest_unreachable") : signal.reason;
  if (error instanceof StacyError) return error;
  if (error instanceof ConnectError) {
    const reason = reading[error.code] ?? byConnectCode[error.code];
    if (reason === undefined || reason === "guest_unreachable") return unreachableOr(error, reason);
    return new StacyError(reason, agentText(error.rawMessage), { cause: error });
  }
  return unreachableOr(error, undefined);
}

function unreachableOr(error: unknown, reason: ErrorReason | undefined): StacyError {
  if (reason === "guest_unreachable" || isConnectionFailure(error)) {
    return new StacyError("guest_unreachable", "the sandbox's agent does not answer", { cause: error });
  }
  return new StacyError("guest_protocol", "the sandbox's agent gave an answer that is not understood", {
    cause: error,
  });
}

/** A deadline that we set over an agent's silence: then it is the agent that failed, not the caller that left. */
const isTimeout = (reason: unknown): boolean => reason instanceof DOMException && reason.name === "TimeoutError";

function isConnectionFailure(error: unknown): boolean {
  for (let e = error; e instanceof Error; e = e.cause) {
    if ("code" in e && typeof e.code === "string" && unreachableCodes.has(e.code)) return true;
    if (e instanceof ConnectError && e.code === Code.Unavailable) return true;
  }
  return false;
}
