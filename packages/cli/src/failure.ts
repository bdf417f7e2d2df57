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
  key_not_found: "See which there are: stacyvm key list, or with --own your own.",
  member_not_found: "See which there are: stacyvm member list. One of a project needs --project <id>.",
  process_not_found: "See which there are: stacyvm ps <id>. Ended ones are kept for a while only.",
  project_not_found: "See which there are: stacyvm project list.",
  registry_credential_not_found: "See which there are: stacyvm registry-credential list.",
  sandbox_not_found: "See which there are: stacyvm list. It may have expired.",
  tenant_ambiguous: "Name one: --tenant <id>, or $STACYVM_TENANT, and of its projects: --project <id>.",
  tenant_in_use: "End what is left first. stacyvm tenant delete <id> --cascade ends all that is in a tenant.",
  tenant_not_found:
    "An administrator of the server sees which there are: stacyvm tenant list. Name one: --tenant <id>, or $STACYVM_TENANT.",
};

const unreachable = "Start a server with: stacyvm serve. Or name another: --server <url>, or $STACYVM_SERVER.";

/** What Node calls a certificate that leads to no authority it trusts. */
const untrusted = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

/** What helps where the server's address speaks TLS, or should. */
function tlsRemediation(error: unknown): string | undefined {
  for (let one = error, depth = 0; one instanceof Error && depth < 8; one = one.cause, depth += 1) {
    const code = "code" in one ? String(one.code) : "";
    if (untrusted.has(code)) {
      return "The server's certificate isn't trusted here. Name its authority's: NODE_EXTRA_CA_CERTS=<ca.pem>, or NODE_USE_SYSTEM_CA=1 for this machine's own.";
    }
    if (code === "ERR_TLS_CERT_ALTNAME_INVALID") return `${one.message}. Name the server as its certificate does.`;
    if (code === "CERT_HAS_EXPIRED") return "The server's certificate has expired; its operator must renew it.";
    if (code === "ERR_SSL_WRONG_VERSION_NUMBER" || code === "ERR_SSL_PACKET_LENGTH_TOO_LONG")
      return "What answers there doesn't speak TLS; if it is the server, begin the address with http://.";
  }
  return undefined;
}

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
  const remedy = isUnreachable ? (tlsRemediation(error) ?? unreachable) : remediation;
  return { message, code, reason, remediation: remedy, requestId, details };
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
