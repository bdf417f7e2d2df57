import { StacyError } from "@stacyvm/contract";
import type { WebSocket } from "ws";
import { abortedTimeoutMs, drainTimeoutMs } from "./bounds.ts";

/** A request that is being served. Its signal is made when somebody first asks for it. */
export class ServedRequest {
  /** Of a streamed answer's body, so far. */
  sentBytes = 0;
  #controller: AbortController | undefined;
  #reason: unknown;

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    return this.#controller.signal;
  }

  abort(reason: unknown): void {
    this.#reason ??= reason;
    this.#controller?.abort(this.#reason);
  }
}

export interface DrainTimes {
  readonly drainMs: number;
  readonly abortedMs: number;
}

/** What is being served now, so that a shutdown can let it end, then end it. */
export const createInFlight = (times: DrainTimes = { drainMs: drainTimeoutMs, abortedMs: abortedTimeoutMs }) => {
  /** Value: endless ones (event streams) are aborted at once. */
  const requests = new Map<ServedRequest, { endless: boolean }>();
  const sockets = new Set<WebSocket>();
  let closing = false;
  let notifyEmpty: (() => void) | undefined;
  const reason = () => new StacyError("shutting_down", "the server is shutting down");
  const checkEmpty = (): void => {
    if (requests.size === 0 && sockets.size === 0) notifyEmpty?.();
  };
  const emptyWithin = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      notifyEmpty = () => {
        clearTimeout(timer);
        resolve();
      };
      checkEmpty();
    });

  return {
    get closing(): boolean {
      return closing;
    },
    add(request: ServedRequest): void {
      requests.set(request, { endless: false });
    },
    /** The request's answer has no end of its own. */
    markEndless(request: ServedRequest): void {
      const entry = requests.get(request);
      if (entry !== undefined) entry.endless = true;
      if (closing) request.abort(reason());
    },
    remove(request: ServedRequest): void {
      requests.delete(request);
      checkEmpty();
    },
    addSocket(socket: WebSocket): void {
      sockets.add(socket);
      socket.once("close", () => {
        sockets.delete(socket);
        checkEmpty();
      });
    },
    /** Resolves when nothing is served any more, at the latest after both times. */
    async drain(): Promise<void> {
      closing = true;
      for (const [request, { endless }] of requests) if (endless) request.abort(reason());
      for (const socket of sockets) socket.close(1001, "server shutting down");
      await emptyWithin(times.drainMs);
      for (const request of requests.keys()) request.abort(reason());
      await emptyWithin(times.abortedMs);
      for (const socket of sockets) socket.terminate();
    },
  };
};

export type InFlight = ReturnType<typeof createInFlight>;
