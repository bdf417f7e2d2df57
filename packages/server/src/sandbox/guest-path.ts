import { posix } from "node:path";
import { StacyError } from "@stacyvm/contract";

/** Where commands start and what relative paths are relative to. */
export const workspacePath = "/workspace";

/** Longest path, bytes of UTF-8: the kernel's own bound less the terminator. */
export const guestPathMaxBytes = 4095;

/**
 * The absolute path that reaches the agent. `..` is resolved here for tidiness, not safety: the agent sees only its
 * own root. Throws invalid_input for what no file can be called.
 */
export function guestPath(path: string): string {
  if (path.includes("\0")) throw new StacyError("invalid_input", "invalid input: path cannot contain a NUL byte");
  const absolute = posix.resolve(workspacePath, path);
  if (Buffer.byteLength(absolute) > guestPathMaxBytes) {
    throw new StacyError("invalid_input", `invalid input: path must be ${guestPathMaxBytes} bytes or fewer`);
  }
  return absolute;
}
