import http from "node:http";
import type { TestServer } from "./server.ts";

/** One sandbox and the few calls that tests make on it. */
export interface TestSandbox extends AsyncDisposable {
  readonly id: string;
  readonly url: string;
  exec(body: object): Promise<{ readonly status: number; readonly body: ExecAnswer }>;
  lines(body: object): Promise<readonly ExecLine[]>;
}

export interface ExecAnswer {
  readonly exit_code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly timed_out: boolean;
  readonly truncated: boolean;
  readonly reason?: string;
  readonly message?: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

export interface ExecLine {
  readonly stream: string;
  readonly data: string;
  readonly exit_code?: number;
  readonly timed_out?: boolean;
}

export const post = (url: string, body: object, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(url, { method: "POST", body: JSON.stringify(body), headers });

/** Spawns; the end of its scope destroys. */
export const spawnSandbox = async (server: TestServer, spec: object): Promise<TestSandbox> => {
  const spawned = await post(`${server.url}/api/v1/sandboxes`, spec);
  if (spawned.status !== 201) throw new Error(`spawn answered ${spawned.status}: ${await spawned.text()}`);
  const { id } = (await spawned.json()) as { id: string };
  const url = `${server.url}/api/v1/sandboxes/${id}`;
  return {
    id,
    url,
    exec: async (body) => {
      const answer = await post(`${url}/exec`, body);
      return { status: answer.status, body: (await answer.json()) as ExecAnswer };
    },
    lines: async (body) => {
      const answer = await post(`${url}/exec`, { ...body, stream: true });
      return (await answer.text())
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as ExecLine);
    },
    [Symbol.asyncDispose]: async () => {
      await fetch(url, { method: "DELETE" });
    },
  };
};

/** A request whose trailers count, which fetch doesn't show. */
export const withTrailers = (
  url: string,
  body: object,
  headers: http.OutgoingHttpHeaders,
): Promise<{
  readonly body: Buffer;
  readonly trailers: NodeJS.Dict<string>;
  readonly headers: http.IncomingHttpHeaders;
}> =>
  new Promise((resolve, reject) => {
    const request = http.request(url, { method: "POST", headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () =>
        resolve({ body: Buffer.concat(chunks), trailers: response.trailers, headers: response.headers }),
      );
      response.on("error", reject);
    });
    request.on("error", reject);
    request.end(JSON.stringify(body));
  });
