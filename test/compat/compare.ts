import type { Answer, Received } from "./exchange.ts";

const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;
const goDuration = /^-?(0s|(\d+h)?(\d+m)?(\d+(\.\d+)?(s|ms|µs|ns))?)$/;

/** Keys whose value differs from run to run, and what it looks like nevertheless. */
const varying: Readonly<Record<string, RegExp | undefined>> = {
  id: undefined,
  created_at: rfc3339,
  updated_at: rfc3339,
  expires_at: rfc3339,
  mod_time: rfc3339,
  last_checked: rfc3339,
  last_heartbeat: rfc3339,
  uptime: goDuration,
  duration: goDuration,
  latency_ms: undefined,
  runtime_count: undefined,
  mem_bytes: undefined,
  mem_limit_bytes: undefined,
  cpu_pct: undefined,
  hostname: undefined,
  token: /^stacyvm-worker-v1\.[\w-]+\.[\w-]{43}$/,
  capabilities: undefined,
};

const kindOf = (value: unknown): string =>
  value === null ? "null" : Array.isArray(value) ? "array" : value instanceof RegExp ? "string" : typeof value;

const show = (value: unknown): string =>
  value instanceof RegExp ? String(value) : (JSON.stringify(value) ?? "nothing");

export interface Strictness {
  /** Keys that the answer may have; none but the expected ones where it is `true`. */
  readonly closed?: boolean | readonly string[];
  /** Only keys and types count. */
  readonly shapeOnly?: boolean;
}

const compareValue = (expected: unknown, actual: unknown, path: string, strictness: Strictness): string[] => {
  if (kindOf(expected) !== kindOf(actual))
    return [`${path}: ${kindOf(expected)} expected, ${kindOf(actual)} received (${show(actual)})`];
  if (Array.isArray(expected)) return compareArrays(expected, actual as unknown[], path, strictness);
  if (expected instanceof RegExp)
    return expected.test(String(actual)) ? [] : [`${path}: ${show(actual)} is not like ${expected}`];
  if (typeof expected === "object" && expected !== null)
    return compareObjects(expected as Record<string, unknown>, actual as Record<string, unknown>, path, strictness);
  return strictness.shapeOnly === true || expected === actual
    ? []
    : [`${path}: ${show(expected)} expected, ${show(actual)} received`];
};

const byPath = (values: readonly unknown[]): readonly unknown[] =>
  values.every((value) => typeof (value as { path?: unknown } | null)?.path === "string")
    ? [...values].sort((a, b) => ((a as { path: string }).path < (b as { path: string }).path ? -1 : 1))
    : values;

/** The order of a directory's entries is the file system's. */
const compareArrays = (
  expected: readonly unknown[],
  actual: readonly unknown[],
  path: string,
  strictness: Strictness,
): string[] => {
  if (expected.length !== actual.length)
    return [`${path}: ${expected.length} items expected, ${actual.length} received`];
  const sorted = byPath(actual);
  return byPath(expected).flatMap((item, i) => compareValue(item, sorted[i], `${path}[${i}]`, strictness));
};

const compareObjects = (
  expected: Readonly<Record<string, unknown>>,
  actual: Readonly<Record<string, unknown>>,
  path: string,
  strictness: Strictness,
): string[] => {
  const found = Object.entries(expected).flatMap(([key, value]) => {
    const at = `${path}.${key}`;
    if (!Object.hasOwn(actual, key)) return [`${at}: missing`];
    const vague = key === "version" ? typeof value === "string" : Object.hasOwn(varying, key);
    if (!vague || value instanceof RegExp) return compareValue(value, actual[key], at, strictness);
    const shape = varying[key];
    if (kindOf(value) !== kindOf(actual[key])) return compareValue(value, actual[key], at, strictness);
    return shape === undefined || shape.test(String(actual[key]))
      ? []
      : [`${at}: ${show(actual[key])} is not like ${shape}`];
  });
  if (strictness.closed === undefined || strictness.closed === false) return found;
  const allowed = strictness.closed === true ? Object.keys(expected) : strictness.closed;
  return [
    ...found,
    ...Object.keys(actual)
      .filter((key) => !allowed.includes(key))
      .map((key) => `${path}.${key}: old clients refuse this key`),
  ];
};

const comparedHeaders = ["content-type", "allow", "cache-control", "access-control-allow-origin"];

/** Everything in which an answer differs from the one expected; empty when an old client would see no difference. */
export const compareAnswers = (expected: Answer, actual: Received, strictness: Strictness = {}): string[] => {
  const found: string[] = [];
  if (actual.status !== expected.status)
    found.push(`status: ${expected.status} expected, ${actual.status} received (${actual.text.trim()})`);
  for (const name of comparedHeaders) {
    const wanted = expected.headers[name];
    const got = actual.headers[name] ?? "";
    if (wanted instanceof RegExp ? !wanted.test(got) : wanted !== undefined && wanted !== got)
      found.push(`header ${name}: ${show(wanted)} expected, ${show(got)} received`);
  }
  if (expected.json !== undefined) found.push(...compareValue(expected.json, actual.json, "json", strictness));
  if (
    expected.text instanceof RegExp
      ? !expected.text.test(actual.text)
      : expected.text !== undefined && expected.text !== actual.text
  )
    found.push(`text: ${show(expected.text)} expected, ${show(actual.text)} received`);
  return found;
};

/** The declared metrics of a page in Prometheus' text format, name to type; a line cut off at the end declares none. */
export const metricTypes = (page: string): ReadonlyMap<string, string> =>
  new Map(
    [...page.matchAll(/^# TYPE (\S+) (gauge|counter|histogram|summary)$/gm)].map(([, name = "", type = ""]) => [
      name,
      type,
    ]),
  );
