/** One recorded request and its answer. */
export interface Exchange {
  readonly name: string;
  readonly request: {
    readonly method: string;
    readonly path: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: unknown;
    /** Sent as it stands, where the recording has no valid JSON. */
    readonly raw?: string;
  };
  readonly response: Answer;
  /** Names for values of the answer, by their path in it: later rows say `{{name}}`. */
  readonly save?: Readonly<Record<string, string>>;
}

/** An answer as recorded; a value may also be a pattern, in an expectation. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | RegExp>>;
  readonly json?: unknown;
  readonly text?: string | RegExp;
}

/** An answer as received. */
export interface Received extends Answer {
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  readonly tookMs: number;
}

export type Values = ReadonlyMap<string, string>;

/** Puts values in the place of `{{name}}`, in every text of a value. */
export const substitute = <T>(value: T, values: Values): T => {
  const visit = (part: unknown): unknown => {
    if (typeof part === "string")
      return part.replace(/\{\{(\w+)\}\}/g, (whole, name: string) => values.get(name) ?? whole);
    if (part instanceof RegExp || typeof part !== "object" || part === null) return part;
    if (Array.isArray(part)) return part.map(visit);
    return Object.fromEntries(Object.entries(part).map(([key, inner]) => [key, visit(inner)]));
  };
  return visit(value) as T;
};

/** The text at a dotted path of a JSON value. */
export const textAt = (json: unknown, path: string): string | undefined => {
  let at: unknown = json;
  for (const key of path.split("."))
    at = typeof at === "object" && at !== null ? (at as Record<string, unknown>)[key] : undefined;
  return typeof at === "string" ? at : undefined;
};

/** Sends a request whose values have been put in. */
export const send = async (baseUrl: string, request: Exchange["request"]): Promise<Received> => {
  const body = request.raw ?? (request.body === undefined ? undefined : JSON.stringify(request.body));
  const startedMs = performance.now();
  const response = await fetch(`${baseUrl}${request.path}`, {
    method: request.method,
    headers: request.headers ?? {},
    ...(body === undefined ? {} : { body }),
  });
  const text = await response.text();
  const tookMs = performance.now() - startedMs;
  const received = { status: response.status, headers: Object.fromEntries(response.headers), text, tookMs };
  return response.headers.get("content-type")?.startsWith("application/json") === true
    ? { ...received, json: JSON.parse(text) }
    : received;
};
