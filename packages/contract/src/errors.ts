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

const entry = (
  code: WireCode,
  status: number,
  fault: Fault,
  retryable: boolean,
  summary: string,
  remediation: string,
): ErrorEntry => ({ code, status, fault, retryable, summary, remediation });

/** Every failure this system names. The key is the `reason` on the wire. */
export const errorCatalogue = {
  invalid_body: entry(
    "BAD_REQUEST",
    400,
    "caller",
    false,
    "The request body is not the JSON this operation takes.",
    "Send the JSON object that the operation's schema describes.",
  ),
  invalid_input: entry(
    "BAD_REQUEST",
    400,
    "caller",
    false,
    "A value is outside what is allowed.",
    "Correct the field that the message names.",
  ),
  path_required: entry(
    "BAD_REQUEST",
    400,
    "caller",
    false,
    "No path was given.",
    "Give an absolute path, or one relative to /workspace.",
  ),
  not_a_file: entry(
    "BAD_REQUEST",
    400,
    "caller",
    false,
    "The path is not a regular file.",
    "Read or write regular files; list directories with files/list.",
  ),
  not_a_directory: entry("BAD_REQUEST", 400, "caller", false, "The path is not a directory.", "Name a directory."),
  directory_needs_recursive: entry(
    "BAD_REQUEST",
    400,
    "caller",
    false,
    "A directory is deleted only with recursive=true.",
    "Repeat the request with recursive=true.",
  ),
  archive_invalid: entry(
    "BAD_REQUEST",
    400,
    "caller",
    false,
    "The archive is damaged, or has an entry that is refused.",
    "Correct the entry that the message names; those before it were written.",
  ),
  payload_too_large: entry(
    "RESOURCE_LIMIT",
    413,
    "caller",
    false,
    "The request is larger than the operation takes.",
    "Send less, or use the raw file upload.",
  ),
  headers_too_large: entry(
    "BAD_REQUEST",
    431,
    "caller",
    false,
    "The request's headers are too many or too large.",
    "Send fewer or shorter headers.",
  ),
  request_timeout: entry(
    "TIMEOUT",
    408,
    "caller",
    true,
    "The request's body did not arrive in time.",
    "Send the body without pauses, or in smaller parts.",
  ),
  range_not_satisfiable: entry(
    "BAD_REQUEST",
    416,
    "caller",
    false,
    "The range lies outside the file.",
    "Ask for the size with HEAD, then for a range within it.",
  ),
  precondition_failed: entry(
    "CONFLICT",
    412,
    "caller",
    false,
    "The file is not the one that the precondition names.",
    "Read the file again and repeat with its ETag.",
  ),
  upgrade_required: entry(
    "BAD_REQUEST",
    426,
    "caller",
    false,
    "The route speaks WebSocket only.",
    "Open it with a WebSocket client.",
  ),
  worker_not_found: entry("NOT_FOUND", 404, "caller", false, "No such worker.", "List workers."),
  unauthenticated: entry(
    "UNAUTHORIZED",
    401,
    "caller",
    false,
    "No valid credential came with the request.",
    "Send the API key in the X-API-Key header.",
  ),
  admin_key_required: entry(
    "FORBIDDEN",
    403,
    "caller",
    false,
    "The operation needs the admin key.",
    "Send the admin key in the X-Admin-API-Key header.",
  ),
  permission_denied: entry(
    "FORBIDDEN",
    403,
    "caller",
    false,
    "The caller's role doesn't have the permission.",
    "Use a credential whose role has the permission.",
  ),
  link_refused: entry(
    "FORBIDDEN",
    403,
    "caller",
    false,
    "The link is not valid for this, has expired, or was revoked.",
    "Use the link exactly as it was made, or ask for a new one.",
  ),
  port_refused: entry(
    "UNAVAILABLE",
    502,
    "caller",
    true,
    "Nothing listens on the port in the sandbox.",
    "Start the program, wait until it listens, and list the ports.",
  ),
  port_protocol: entry(
    "UNAVAILABLE",
    502,
    "caller",
    false,
    "What listens on the port did not answer in HTTP as it should.",
    "Check that the program on the port speaks HTTP.",
  ),
  port_timeout: entry(
    "TIMEOUT",
    504,
    "caller",
    true,
    "The program on the port did not begin its answer in time.",
    "Ask again, or look at what the program does.",
  ),
  foreign_origin: entry(
    "FORBIDDEN",
    403,
    "caller",
    false,
    "A web page of another origin may not drive this server.",
    "Configure credentials and list the origin in server.cors_allowed_origins.",
  ),
  policy_denied: entry(
    "FORBIDDEN",
    403,
    "caller",
    false,
    "A policy forbids the value.",
    "Ask the operator, or use a value that the policy permits.",
  ),
  file_permission_denied: entry(
    "FORBIDDEN",
    403,
    "caller",
    false,
    "The sandbox's file system denied the access.",
    "Check owner and mode of the path inside the sandbox.",
  ),
  misdirected_host: entry(
    "BAD_REQUEST",
    421,
    "caller",
    false,
    "The Host header names another site.",
    "Use the address that the server printed at start.",
  ),
  sandbox_not_found: entry(
    "NOT_FOUND",
    404,
    "caller",
    false,
    "No such sandbox.",
    "List sandboxes; it may have expired.",
  ),
  sandbox_destroyed: entry("NOT_FOUND", 404, "caller", false, "The sandbox has been destroyed.", "Spawn a new one."),
  provider_not_found: entry("NOT_FOUND", 404, "caller", false, "No such provider.", "List providers."),
  file_not_found: entry(
    "NOT_FOUND",
    404,
    "caller",
    false,
    "No such path in the sandbox.",
    "Check the path with files/list.",
  ),
  process_not_found: entry(
    "NOT_FOUND",
    404,
    "caller",
    false,
    "No such process in the sandbox.",
    "List processes; ended ones are kept for a while only.",
  ),
  process_state_conflict: entry(
    "CONFLICT",
    409,
    "caller",
    false,
    "The process's state doesn't allow this.",
    "Get the process; it may have ended, have no terminal, or have its stdin closed.",
  ),
  stdin_full: entry(
    "CONFLICT",
    409,
    "caller",
    true,
    "The process doesn't read its stdin and no more can wait for it.",
    "Send what follows `written` in the details again when the process reads.",
  ),
  upload_not_found: entry(
    "NOT_FOUND",
    404,
    "caller",
    false,
    "No such upload in the sandbox.",
    "Begin another; an upload ends with its commit, or 24 hours after its last byte.",
  ),
  upload_conflict: entry(
    "CONFLICT",
    409,
    "caller",
    true,
    "The request doesn't fit how far the upload has come.",
    "Go on from the `offset` in the details; one request at a time may work on an upload.",
  ),
  checksum_mismatch: entry(
    "BAD_REQUEST",
    422,
    "caller",
    false,
    "The bytes that arrived are not those of the checksum; nothing was changed.",
    "Delete the upload and send the file again.",
  ),
  template_not_found: entry("NOT_FOUND", 404, "caller", false, "No such template.", "List templates."),
  quota_not_found: entry(
    "NOT_FOUND",
    404,
    "caller",
    false,
    "The owner has no quota of its own.",
    "Set one, or rely on the defaults.",
  ),
  image_not_found: entry(
    "NOT_FOUND",
    404,
    "caller",
    false,
    "The image is not on this host and no registry has it.",
    "Check the name, or bring it in with: stacyvm image import <name> <file>",
  ),
  route_not_found: entry("NOT_FOUND", 404, "caller", false, "No such route.", "See /openapi.json for the operations."),
  already_exists: entry(
    "CONFLICT",
    409,
    "caller",
    false,
    "Something of that name exists already.",
    "Use another name, or change the existing one.",
  ),
  state_conflict: entry(
    "CONFLICT",
    409,
    "caller",
    true,
    "The sandbox's state doesn't allow this now.",
    "Get the sandbox and try again when its state allows it.",
  ),
  lease_lost: entry(
    "CONFLICT",
    409,
    "system",
    true,
    "Another server holds the lease of the sandbox.",
    "Try again; the holder answers.",
  ),
  exec_timeout: entry(
    "TIMEOUT",
    408,
    "caller",
    false,
    "The command ran past its deadline and its whole process tree was ended.",
    "Give a longer timeout, or start it as a process.",
  ),
  ttl_above_max: entry(
    "RESOURCE_LIMIT",
    429,
    "caller",
    false,
    "The time to live is above the maximum.",
    "Ask for less.",
  ),
  timeout_above_max: entry(
    "RESOURCE_LIMIT",
    429,
    "caller",
    false,
    "The exec timeout is outside the limits.",
    "Ask for less, or start a process.",
  ),
  sandboxes_exhausted: entry(
    "RESOURCE_LIMIT",
    429,
    "caller",
    true,
    "The number of sandboxes is at its maximum.",
    "Destroy one, or wait for one to expire.",
  ),
  owner_sandboxes_exhausted: entry(
    "RESOURCE_LIMIT",
    429,
    "caller",
    true,
    "The owner's number of sandboxes is at its maximum.",
    "Destroy one, or ask for a larger quota.",
  ),
  spawn_queue_full: entry(
    "RESOURCE_LIMIT",
    429,
    "system",
    true,
    "Too many spawns are waiting for capacity.",
    "Try again later.",
  ),
  spawn_queue_timeout: entry(
    "RESOURCE_LIMIT",
    429,
    "system",
    true,
    "No capacity came free in time.",
    "Try again later.",
  ),
  sandbox_limit: entry(
    "RESOURCE_LIMIT",
    429,
    "caller",
    true,
    "A limit inside the sandbox was reached.",
    "End processes or watches, or send less at once.",
  ),
  disk_full: entry(
    "RESOURCE_LIMIT",
    507,
    "caller",
    false,
    "The sandbox's disk is full; the old content is intact.",
    "Delete files, or spawn with a larger disk.",
  ),
  provider_unavailable: entry(
    "UNAVAILABLE",
    503,
    "provider",
    true,
    "The provider can't serve now.",
    "See /providers for what is missing on this host.",
  ),
  image_pull_failed: entry(
    "UNAVAILABLE",
    503,
    "provider",
    true,
    "The image could not be pulled.",
    "Check the registry, or bring the image in with: stacyvm image import <name> <file>",
  ),
  spawn_failed: entry(
    "INTERNAL_ERROR",
    500,
    "provider",
    true,
    "The sandbox could not be started.",
    "Quote the request id to the operator.",
  ),
  guest_unreachable: entry(
    "UNAVAILABLE",
    503,
    "provider",
    true,
    "The sandbox's agent doesn't answer.",
    "Get the sandbox; if its state is error, destroy it and spawn another.",
  ),
  guest_protocol: entry(
    "INTERNAL_ERROR",
    500,
    "provider",
    false,
    "The sandbox's agent answered outside its contract.",
    "Destroy the sandbox; quote the request id to the operator.",
  ),
  store_unavailable: entry(
    "UNAVAILABLE",
    503,
    "system",
    true,
    "The database doesn't answer.",
    "Try again; the operator should check the database.",
  ),
  shutting_down: entry("UNAVAILABLE", 503, "system", true, "The server is shutting down.", "Try again in a moment."),
  not_supported: entry(
    "BAD_REQUEST",
    400,
    "caller",
    false,
    "The provider doesn't offer this.",
    "See the provider's capabilities.",
  ),
  internal: entry(
    "INTERNAL_ERROR",
    500,
    "system",
    false,
    "The server failed.",
    "Quote the request id to the operator.",
  ),
} as const satisfies Record<string, ErrorEntry>;

export type ErrorReason = keyof typeof errorCatalogue;

export interface StacyErrorOptions {
  readonly cause?: unknown;
  /** Replaces the catalogue's remediation. */
  readonly remediation?: string;
  /** Shown to the caller as `details`; never secrets. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** The one error class: a reason of the catalogue and a message for the caller. */
export class StacyError extends Error {
  override readonly name = "StacyError";
  readonly reason: ErrorReason;
  readonly remediation: string;
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(reason: ErrorReason, message: string, options: StacyErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.reason = reason;
    this.remediation = options.remediation ?? errorCatalogue[reason].remediation;
    this.details = options.details;
  }

  get entry(): ErrorEntry {
    return errorCatalogue[this.reason];
  }
}
