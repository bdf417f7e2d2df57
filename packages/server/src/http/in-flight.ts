import { type Permission, StacyError } from "@stacyvm/contract";
import type { WebSocket } from "ws";
import { abortedTimeoutMs, drainTimeoutMs } from "./bounds.ts";
import type { Identity } from "./identity.ts";

/** Where an answer goes. */
export interface Carrier {
  /** Whether any of it has left: then no error can be answered any more. */
  readonly begun: boolean;
  /** Says why there is no more, where its wire has words for that. */
  end?(reason: StacyError): void;
  /** Ends the connection as it is. */
  cut(): void;
}

/** Who a request was let in for, and to do what. */
export interface Visitor {
  readonly identity: Identity;
  readonly permission: Permission | undefined;
}

/** A request that is being served. Its signal is made when somebody first asks for it. */
export class ServedRequest {
  /** Of a streamed answer's body, so far. */
  sentBytes = 0;
  /** Undefined until it has been let in. */
  visitor: Visitor | undefined;
  carrier: Carrier;
  #controller: AbortController | undefined;
  #reason: unknown;

  constructor(carrier: Carrier) {
    this.carrier = carrier;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    return this.#controller.signal;
  }

  abort(reason: unknown): void {
    this.#reason ??= reason;
    this.#controller?.abort(this.#reason);
  }

  /** Ends it for a reason that its client is told, where that can be. */
  end(reason: StacyError): void {
    this.carrier.end?.(reason);
    this.abort(reason);
  }
}

export interface DrainTimes {
  readonly drainMs: number;
  readonly abortedMs: number;
}

/** What is being served now, so that a shutdown or the end of its credential can end it. */
export const createInFlight = (times: DrainTimes = { drainMs: drainTimeoutMs, abortedMs: abortedTimeoutMs }) => {
  /** Value: endless ones (event streams) are aborted at once. */
  const requests = new Map<ServedRequest, { endless: boolean }>();
  const sockets = new Map<WebSocket, ServedRequest>();
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
    /** Requests whose answer isn't over, WebSockets among them. */
    get open(): readonly ServedRequest[] {
      return [...requests.keys(), ...sockets.values()];
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
    /** The request goes on as a WebSocket. */
    addSocket(socket: WebSocket, request: ServedRequest): void {
      requests.delete(request);
      sockets.set(socket, request);
      socket.once("close", () => {
        sockets.delete(socket);
        checkEmpty();
      });
    },
    /** Resolves when nothing is served any more, at the latest after both times. */
    async drain(): Promise<void> {
      closing = true;
      for (const [request, { endless }] of requests) if (endless) request.abort(reason());
      for (const socket of sockets.keys()) socket.close(1001, "server shutting down");
      await emptyWithin(times.drainMs);
      for (const request of requests.keys()) request.abort(reason());
      await emptyWithin(times.abortedMs);
      for (const socket of sockets.keys()) socket.terminate();
    },
  };
};

export type InFlight = ReturnType<typeof createInFlight>;
