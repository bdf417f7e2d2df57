import { StacyError } from "@stacyvm/contract";
import { isoTime } from "../../lib/iso-time.ts";

/** RFC 3339 in UTC with milliseconds. */
export const rfc3339 = isoTime;

/** RFC 3339 in UTC, whole seconds. */
export const rfc3339Seconds = (atMs: number): string => `${isoTime(atMs).split(".", 1)[0]}Z`;

const rfc3339Pattern = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$/;

/** Epoch milliseconds of RFC 3339, or of themselves. Throws invalid_input naming the field. */
export const instantOf = (field: string, text: string): number => {
  const ms = /^\d{1,15}$/.test(text) ? Number(text) : rfc3339Pattern.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(ms)) return ms;
  throw new StacyError("invalid_input", `invalid input: ${field} must be RFC 3339 or epoch milliseconds`);
};
