import { ConnectionError, type StacyVMError } from "./errors.ts";

/** What a starting server, or a proxy before one that is away, answers for a while. */
const passing: readonly (number | undefined)[] = [429, 502, 503, 504];

/**
 * Whether the same may succeed once a server, or the way to it, is back. An answer with a reason is our server's own and
 * final, but for those that say: not now.
 */
export const isPassing = (failure: StacyVMError): boolean =>
  failure instanceof ConnectionError ||
  (passing.includes(failure.statusCode) && (failure.reason === undefined || failure.retryAfterMs !== undefined));
