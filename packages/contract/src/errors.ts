import type { ErrorEntry } from "./errors/entry.ts";
import { insideErrors } from "./errors/inside.ts";
import { outsideErrors } from "./errors/outside.ts";

export type { ErrorEntry, Fault, WireCode } from "./errors/entry.ts";

/** Every failure this system names. The key is the `reason` on the wire. */
export const errorCatalogue = { ...outsideErrors, ...insideErrors } as const satisfies Record<string, ErrorEntry>;

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
