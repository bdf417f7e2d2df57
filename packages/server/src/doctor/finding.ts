/** `unknown`: nothing could be found out, which is not a failure. */
export type Status = "ok" | "warn" | "fail" | "unknown";

export const areas = [
  "configuration",
  "programs",
  "kernel",
  "cgroups",
  "runtimes",
  "data",
  "providers",
  "server",
] as const;
export type Area = (typeof areas)[number];

export interface Finding {
  /** Stable, for scripts; for example "kernel.overlay". */
  readonly id: string;
  readonly area: Area;
  readonly status: Status;
  /** What was found, in one line. */
  readonly what: string;
  /** What to do, in one line; absent where there is nothing to do. */
  readonly remedy?: string;
  /** Where more is said: advisories, pages. */
  readonly sources?: readonly string[];
}

export interface Report {
  /** The worst that was found; what is unknown doesn't count. */
  readonly status: Exclude<Status, "unknown">;
  readonly findings: readonly Finding[];
}

/** Findings of one area, by their status. */
export const findingsOf = (area: Area) => {
  const make =
    (status: Status) =>
    (name: string, what: string, remedy?: string, sources?: readonly string[]): Finding => ({
      id: `${area}.${name}`,
      area,
      status,
      what,
      ...(remedy === undefined ? {} : { remedy }),
      ...(sources === undefined ? {} : { sources }),
    });
  return { ok: make("ok"), warn: make("warn"), fail: make("fail"), unknown: make("unknown") };
};

export const reportOf = (findings: readonly Finding[]): Report => {
  const has = (status: Status) => findings.some((finding) => finding.status === status);
  return { status: has("fail") ? "fail" : has("warn") ? "warn" : "ok", findings };
};
