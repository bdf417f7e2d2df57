import { type Deadline, startDeadline } from "./deadline.ts";
import { ConnectionError, handleResponse } from "./errors.ts";
import type { RetryPolicy } from "./retry.ts";

/** Limits of one call. */
export interface CallOptions {
  /** Ends the call; it then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Replaces the client's timeout, milliseconds; 0 for none. */
  timeoutMs?: number | undefined;
}

/** One request; `path` starts after `/api/v1`. */
export interface Call {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  /** A list is given as often as it is long. */
  readonly query?: Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is. */
  readonly raw?: NonNullable<RequestInit["body"]>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Doing it twice is doing it once, though its method doesn't say so. */
  readonly repeatable?: boolean;
  readonly options?: CallOptions | undefined;
  /** Named by a not-found error. */
  readonly sandboxId?: string;
}

export interface TransportOptions {
  /** Without a trailing slash. */
  readonly baseUrl: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly retry: RetryPolicy;
  readonly fetch: typeof fetch;
}

/** Sends calls: addresses, headers, time limits, retries, and errors of one kind. */
export class Transport {
  readonly #options: TransportOptions;

  constructor(options: TransportOptions) {
    this.#options = options;
  }

  /** The client's own timeout, milliseconds. */
  get timeoutMs(): number {
    return this.#options.timeoutMs;
  }

  /** The whole address of one that the server gave, which may be a path on itself. */
  resolve(url: string): string {
    return url.startsWith("/") ? this.#options.baseUrl + url : url;
  }

  /** Whether calls that may be repeated are. */
  get repeats(): boolean {
    return this.#options.retry.attempts > 1;
  }

  /** The wait before something is tried again; rejects with the signal's reason. */
  async sleep(ms: number, signal: AbortSignal = new AbortController().signal): Promise<void> {
    await this.#options.retry.sleep(ms, signal);
  }

  /** A request as the platform makes it, at a path after `/api/v1`: neither limited nor repeated, whatever is answered. */
  async request(path: string, init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers);
    for (const [name, value] of Object.entries(this.#options.headers)) headers.set(name, value);
    return await this.#options.fetch(`${this.#options.baseUrl}/api/v1${path}`, { ...init, headers });
  }

  async json<T>(call: Call): Promise<T> {
    return await this.#read(call, async (response) => (await response.json()) as T);
  }

  async text(call: Call): Promise<string> {
    return await this.#read(call, (response) => response.text());
  }

  async bytes(call: Call): Promise<Uint8Array> {
    return await this.#read(call, async (response) => new Uint8Array(await response.arrayBuffer()));
  }

  /** JSON together with the answer's headers. */
  async page<T>(call: Call): Promise<{ value: T; headers: Headers }> {
    return await this.#read(call, async (response) => ({
      value: (await response.json()) as T,
      headers: response.headers,
    }));
  }

  async done(call: Call): Promise<void> {
    // Read, not cancelled, so that the connection serves the next call.
    await this.#read(call, async (response) => void (await response.arrayBuffer()));
  }

  /** The body as it arrives. The time limit ends with the answer's headers: only the signal cuts a stream. */
  async stream(call: Call): Promise<ReadableStream<Uint8Array>> {
    return (await this.opened(call)).stream;
  }

  /** A stream together with the answer's headers; the time limit is that of `stream`. */
  async opened(call: Call): Promise<{ stream: ReadableStream<Uint8Array>; headers: Headers }> {
    const deadline = this.#start(call);
    try {
      const response = await handleResponse(await this.#send(call, deadline), call.sandboxId);
      const stream = (response.body ?? new Blob([]).stream()) as ReadableStream<Uint8Array>;
      return { stream, headers: response.headers };
    } finally {
      deadline.stop();
    }
  }

  #start(call: Call): Deadline {
    return startDeadline(call.options?.timeoutMs ?? this.#options.timeoutMs, call.options?.signal);
  }

  async #read<T>(call: Call, read: (response: Response) => Promise<T>): Promise<T> {
    const deadline = this.#start(call);
    try {
      const response = await handleResponse(await this.#send(call, deadline), call.sandboxId);
      try {
        return await read(response);
      } catch (error) {
        if (error instanceof SyntaxError) {
          throw new ConnectionError(`The answer of ${this.#options.baseUrl} is not JSON`, { cause: error });
        }
        throw this.#failure(call, deadline, error, `The connection to ${this.#options.baseUrl} was lost`);
      }
    } finally {
      deadline.stop();
    }
  }

  async #send(call: Call, deadline: Deadline): Promise<Response> {
    const { baseUrl, retry } = this.#options;
    const url = baseUrl + pathOf(call);
    const init = initOf(call, this.#options.headers, deadline.signal);
    const repeatable = call.repeatable || call.method === "GET" || call.method === "HEAD" || call.method === "DELETE";
    let lost = false;
    for (let attempt = 1; ; attempt++) {
      let response: Response | undefined;
      let failure: unknown;
      try {
        response = await this.#options.fetch(url, init);
      } catch (error) {
        failure = this.#failure(call, deadline, error, `Cannot connect to StacyVM server at ${baseUrl}`);
        if (deadline.signal.aborted) throw failure;
      }
      // The try that was lost on the way may have deleted it.
      if (lost && call.method === "DELETE" && response?.status === 404) return Response.json({ status: "deleted" });
      const delayMs = repeatable ? retry.delayMs(attempt, response) : undefined;
      if (delayMs === undefined) {
        if (response === undefined) throw failure;
        return response;
      }
      lost ||= response === undefined;
      await response?.arrayBuffer().catch(() => {});
      try {
        await retry.sleep(delayMs, deadline.signal);
      } catch (error) {
        throw this.#failure(call, deadline, error, `Cannot connect to StacyVM server at ${baseUrl}`);
      }
    }
  }

  /** The caller's own reason, a timeout, or a connection that failed. */
  #failure(call: Call, deadline: Deadline, cause: unknown, message: string): unknown {
    const signal = call.options?.signal;
    if (signal?.aborted) return signal.reason;
    if (!deadline.passed) return new ConnectionError(message, { cause });
    const timeoutMs = call.options?.timeoutMs ?? this.#options.timeoutMs;
    return new ConnectionError(`Request to ${call.path} timed out after ${timeoutMs}ms`, { cause });
  }
}

/** A name as one segment of a path. Throws a TypeError for the two that would lead to another path, however they are written. */
export function segment(name: string): string {
  if (name === "." || name === "..") throw new TypeError(`${JSON.stringify(name)} can't be a name in an address`);
  return encodeURIComponent(name);
}

function pathOf(call: Call): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(call.query ?? {})) {
    if (Array.isArray(value)) for (const each of value) query.append(name, String(each));
    else if (value !== undefined) query.set(name, String(value));
  }
  return `/api/v1${call.path}${query.size === 0 ? "" : `?${query}`}`;
}

function initOf(call: Call, common: Readonly<Record<string, string>>, signal: AbortSignal): RequestInit {
  const headers = new Headers({ ...common, ...call.headers });
  if (call.json !== undefined) headers.set("Content-Type", "application/json");
  const body = call.json === undefined ? call.raw : JSON.stringify(call.json);
  const init: RequestInit & { duplex?: "half" } = { method: call.method, headers, signal };
  if (body !== undefined) init.body = body;
  // Fetch takes a stream only with this word.
  if (body instanceof ReadableStream) init.duplex = "half";
  return init;
}
