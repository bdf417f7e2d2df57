/** RFC 3339 in UTC with milliseconds. */
export const rfc3339 = (atMs: number): string => new Date(atMs).toISOString();

/** RFC 3339 in UTC, whole seconds. */
export const rfc3339Seconds = (atMs: number): string => `${rfc3339(atMs).slice(0, 19)}Z`;
