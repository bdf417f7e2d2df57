/** The nine codes of the public envelope. Clients branch on them; `reason` says more. */
export type WireCode =
  | "NOT_FOUND"
  | "BAD_REQUEST"
  | "INTERNAL_ERROR"
  | "UNAUTHORIZED"
  | "FORBIDDEN"
  | "CONFLICT"
  | "UNAVAILABLE"
  | "TIMEOUT"
  | "RESOURCE_LIMIT";

/** Who has to act: the caller, this system's operator, or the provider underneath. */
export type Fault = "caller" | "system" | "provider";

export interface ErrorEntry {
  readonly code: WireCode;
  /** HTTP status. */
  readonly status: number;
  readonly fault: Fault;
  /** The same request may succeed later without a change. */
  readonly retryable: boolean;
  readonly summary: string;
  readonly remediation: string;
}

export const entry = (
  code: WireCode,
  status: number,
  fault: Fault,
  retryable: boolean,
  summary: string,
  remediation: string,
): ErrorEntry => ({ code, status, fault, retryable, summary, remediation });
