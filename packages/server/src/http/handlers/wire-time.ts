import { isoTime } from "../../lib/iso-time.ts";

/** RFC 3339 in UTC with milliseconds. */
export const rfc3339 = isoTime;

/** RFC 3339 in UTC, whole seconds. */
export const rfc3339Seconds = (atMs: number): string => `${isoTime(atMs).split(".", 1)[0]}Z`;
