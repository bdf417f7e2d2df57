import { connect } from "node:net";
import { timesOf } from "./figures.ts";

export interface Load {
  readonly requests_per_s: number;
  readonly latency: ReturnType<typeof timesOf>;
  readonly failed: number;
}

const headEnd = Buffer.from("\r\n\r\n");

/**
 * As many GETs as go through so many kept connections, each with one request under way. Reads of an answer no more than
 * status and length, so that the generator costs little beside the server.
 */
export const load = async (options: {
  readonly url: string;
  readonly path: string;
  readonly connections: number;
  readonly requests: number;
  readonly headers?: Readonly<Record<string, string>>;
}): Promise<Load> => {
  const { host, hostname, port } = new URL(options.url);
  const headers = Object.entries(options.headers ?? {}).map(([name, value]) => `${name}: ${value}\r\n`);
  const request = Buffer.from(`GET ${options.path} HTTP/1.1\r\nHost: ${host}\r\n${headers.join("")}\r\n`);
  const times: number[] = [];
  let left = options.requests;
  let failed = 0;

  const lane = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = connect(Number(port), hostname);
      let sentAt = 0;
      let head: Buffer = Buffer.alloc(0);
      /** Bytes of the body still to come; undefined while the head is being read. */
      let missing: number | undefined;
      const next = (): void => {
        if (left === 0) {
          socket.end();
          resolve();
          return;
        }
        left -= 1;
        sentAt = performance.now();
        socket.write(request);
      };
      socket.on("connect", next);
      socket.on("error", reject);
      socket.on("data", (chunk) => {
        if (missing === undefined) {
          head = head.length === 0 ? chunk : Buffer.concat([head, chunk]);
          const at = head.indexOf(headEnd);
          if (at === -1) return;
          const text = head.toString("latin1", 0, at);
          if (!text.startsWith("HTTP/1.1 200")) failed += 1;
          missing = Number(/content-length: (\d+)/i.exec(text)?.[1]) - (head.length - at - headEnd.length);
          head = Buffer.alloc(0);
        } else missing -= chunk.length;
        if (missing > 0) return;
        missing = undefined;
        times.push(performance.now() - sentAt);
        next();
      });
    });

  const startedAt = performance.now();
  await Promise.all(Array.from({ length: options.connections }, lane));
  const seconds = (performance.now() - startedAt) / 1000;
  return { requests_per_s: Math.round(times.length / seconds), latency: timesOf(times), failed };
};
