import type { ErrorBody, ErrorReason } from "@stacyvm/contract";
import { errorCatalogue, StacyError } from "@stacyvm/contract";

/** An error as the caller sees it. */
export interface Failure {
  readonly status: number;
  readonly body: ErrorBody;
  /** What the log says beside the error; undefined when the caller's mistake needs no line. */
  readonly level: "error" | "warn" | undefined;
}

/** Errors of the HTTP library that are the caller's, by its code. */
const libraryErrors: Readonly<Record<string, ErrorReason>> = {
  FST_ERR_BAD_URL: "invalid_input",
  FST_ERR_MAX_PARAM_LENGTH: "invalid_input",
  FST_ERR_CTP_BODY_TOO_LARGE: "payload_too_large",
  HPE_HEADER_OVERFLOW: "headers_too_large",
  ERR_HTTP_REQUEST_TIMEOUT: "request_timeout",
};

const libraryMessages: Readonly<Record<string, string>> = {
  FST_ERR_BAD_URL: "invalid input: the path is not percent-encoded UTF-8",
  FST_ERR_MAX_PARAM_LENGTH: "invalid input: a part of the path is too long",
};

/** Any thrown value as an error of the catalogue. */
export const toStacyError = (error: unknown): StacyError => {
  if (error instanceof StacyError) return error;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const reason = Object.hasOwn(libraryErrors, code) ? libraryErrors[code] : undefined;
  return reason === undefined
    ? new StacyError("internal", errorCatalogue.internal.summary, { cause: error })
    : new StacyError(reason, libraryMessages[code] ?? errorCatalogue[reason].summary, { cause: error });
};

/**
 * Maps an error to the wire. The text of a 500 is the catalogue's: what happened is in the log under the request id.
 */
export const failureOf = (error: unknown, requestId: string): Failure => {
  const known = toStacyError(error);
  const { code, status, summary } = known.entry;
  return {
    status,
    body: {
      code,
      message: status === 500 ? `${summary} (request ${requestId})` : known.message,
      reason: known.reason,
      request_id: requestId,
      remediation: known.remediation,
      ...(known.details !== undefined && status !== 500 ? { details: { ...known.details } } : {}),
    },
    level: status < 500 ? undefined : status === 500 ? "error" : "warn",
  };
};
