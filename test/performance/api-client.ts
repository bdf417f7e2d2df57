import http from "node:http";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

export interface ApiRequest {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly content?: Readable;
  readonly headers?: Readonly<Record<string, string>>;
  /** Given each chunk; the answer's text stays empty then. */
  readonly onChunk?: (chunk: Buffer) => void;
}

export interface ApiAnswer {
  readonly status: number;
  readonly text: string;
  readonly trailers: Readonly<Record<string, string | undefined>>;
}

export interface ApiClient extends Disposable {
  request(request: ApiRequest): Promise<ApiAnswer>;
  /** The answer's document; throws with its text unless the status is 2xx. */
  json<T>(method: string, path: string, body?: unknown): Promise<T>;
  createSandbox(wish?: object): Promise<string>;
  destroySandbox(id: string): Promise<void>;
  /** Runs argv without a shell; throws unless it ends with 0. */
  run(id: string, command: string, args?: readonly string[]): Promise<string>;
}

/** Speaks to one server over connections that are kept. */
export const apiClient = (url: string, always: Readonly<Record<string, string>> = {}): ApiClient => {
  const agent = new http.Agent({ keepAlive: true, maxFreeSockets: 256 });

  const request = (wanted: ApiRequest): Promise<ApiAnswer> =>
    new Promise((resolve, reject) => {
      const text = wanted.body === undefined ? undefined : JSON.stringify(wanted.body);
      const headers = {
        ...(text === undefined
          ? {}
          : { "content-type": "application/json", "content-length": Buffer.byteLength(text) }),
        ...always,
        ...wanted.headers,
      };
      const outgoing = http.request(`${url}${wanted.path}`, { method: wanted.method, agent, headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", wanted.onChunk ?? ((chunk: Buffer) => chunks.push(chunk)));
        response.on("error", reject);
        response.on("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            text: Buffer.concat(chunks).toString("utf8"),
            trailers: response.trailers,
          }),
        );
      });
      outgoing.on("error", reject);
      if (wanted.content === undefined) outgoing.end(text);
      else pipeline(wanted.content, outgoing).catch(reject);
    });

  const json = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const { status, text } = await request({ method, path, body });
    if (status < 200 || status > 299) throw new Error(`${method} ${path}: ${status} ${text}`);
    return JSON.parse(text) as T;
  };

  return {
    request,
    json,
    createSandbox: async (wish = {}) =>
      (await json<{ readonly id: string }>("POST", "/api/v1/sandboxes", { image: "alpine:latest", ttl: "1h", ...wish }))
        .id,
    destroySandbox: async (id) => {
      await json("DELETE", `/api/v1/sandboxes/${id}`);
    },
    run: async (id, command, args = []) => {
      const result = await json<{ readonly exit_code: number; readonly stdout: string; readonly stderr: string }>(
        "POST",
        `/api/v1/sandboxes/${id}/exec`,
        { command, args, mode: "argv" },
      );
      if (result.exit_code !== 0) throw new Error(`${command}: exit ${result.exit_code} ${result.stderr}`);
      return result.stdout;
    },
    [Symbol.dispose]: () => agent.destroy(),
  };
};
