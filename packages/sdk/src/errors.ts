import type { ApiErrorBody } from "./wire.ts";

/** What a failure says beyond its message; all of it optional, because old servers and proxies say less. */
export interface StacyVMErrorOptions {
  /** The finer code of the server's catalogue, for example `file_not_found`. */
  readonly reason?: string | undefined;
  /** Under this id the operator finds the cause in the server's log. */
  readonly requestId?: string | undefined;
  /** What would help. */
  readonly remediation?: string | undefined;
  /** Facts of the failure; after an exec timeout the partial `stdout` and `stderr`. */
  readonly details?: Readonly<Record<string, unknown>> | undefined;
  /** What the server asked to wait before another try, milliseconds. */
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** The base of every error this client throws by itself. */
export class StacyVMError extends Error {
  /** One of the server's codes, for example `BAD_REQUEST`. */
  readonly code: string | undefined;
  /** HTTP status; undefined where no answer came. */
  readonly statusCode: number | undefined;
  readonly reason: string | undefined;
  readonly requestId: string | undefined;
  readonly remediation: string | undefined;
  readonly details: Readonly<Record<string, unknown>> | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(message: string, code?: string, statusCode?: number, options: StacyVMErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "StacyVMError";
    this.code = code;
    this.statusCode = statusCode;
    this.reason = options.reason;
    this.requestId = options.requestId;
    this.remediation = options.remediation;
    this.details = options.details;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** A 404; `reason` tells a missing sandbox from a missing file where the server says so. */
export class SandboxNotFoundError extends StacyVMError {
  readonly sandboxId: string;

  constructor(sandboxId: string, message?: string, options?: StacyVMErrorOptions) {
    super(message ?? `Sandbox '${sandboxId}' not found`, "NOT_FOUND", 404, options);
    this.name = "SandboxNotFoundError";
    this.sandboxId = sandboxId;
  }
}

/** A 5xx: the server, or the provider under it, failed. */
export class ProviderError extends StacyVMError {
  constructor(message: string, code = "PROVIDER_ERROR", statusCode?: number, options?: StacyVMErrorOptions) {
    super(message, code, statusCode, options);
    this.name = "ProviderError";
  }
}

/** No answer: the server can't be reached, the connection was lost, or the call took longer than its timeout. */
export class ConnectionError extends StacyVMError {
  constructor(message: string, options?: StacyVMErrorOptions) {
    super(message, "CONNECTION_ERROR", undefined, options);
    this.name = "ConnectionError";
  }
}

/** The wait that a Retry-After header asks for, milliseconds: whole seconds or an HTTP date. */
export function retryAfterMs(value: string | null, now: number): number | undefined {
  if (value === null) return undefined;
  if (/^\s*\d{1,9}\s*$/.test(value)) return Number(value) * 1000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const textOf = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined);

/** The error envelope in a body; what isn't one becomes a message, bounded so that a proxy's page stays readable. */
function envelope(body: string, fallback: string): Partial<ApiErrorBody> & { message: string } {
  try {
    const parsed: unknown = JSON.parse(body);
    if (isRecord(parsed)) {
      return { ...(parsed as Partial<ApiErrorBody>), message: textOf(parsed.message) ?? fallback };
    }
  } catch {
    // Not JSON: a proxy's page or plain text.
  }
  return { message: fallback };
}

/**
 * Returns the response when its status is 2xx, else throws the error class that its status stands for.
 * @throws {SandboxNotFoundError} 404
 * @throws {ProviderError} 5xx
 * @throws {StacyVMError} any other status; 401 always has the code `UNAUTHORIZED`
 */
export async function handleResponse(response: Response, sandboxId?: string): Promise<Response> {
  if (response.ok) return response;
  const status = response.status;
  const fallback = response.statusText || `HTTP ${status}`;
  const body = envelope(await response.text().catch(() => ""), fallback);
  const options: StacyVMErrorOptions = {
    reason: textOf(body.reason),
    requestId: textOf(body.request_id) ?? response.headers.get("x-request-id") ?? undefined,
    remediation: textOf(body.remediation),
    details: isRecord(body.details) ? body.details : undefined,
    retryAfterMs: retryAfterMs(response.headers.get("retry-after"), Date.now()),
  };
  if (status === 404) throw new SandboxNotFoundError(sandboxId ?? "", body.message, options);
  if (status === 401) throw new StacyVMError(body.message, "UNAUTHORIZED", 401, options);
  if (status >= 500) throw new ProviderError(body.message, textOf(body.code), status, options);
  throw new StacyVMError(body.message, textOf(body.code), status, options);
}
