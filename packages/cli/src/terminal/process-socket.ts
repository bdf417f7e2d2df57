import type { IncomingMessage } from "node:http";
import { ConnectionError, handleResponse, type ProcessExit, StacyVMError } from "stacyvm";
import type { WebSocket } from "ws";
import { openServerSocket, type ServerAddress } from "../server-socket.ts";

export interface ProcessAddress {
  readonly sandboxId: string;
  readonly processId: string;
}

/** Characters and rows. */
export interface TerminalSize {
  readonly cols: number;
  readonly rows: number;
}

/** What one connection tells. An offset names a byte of everything that the process wrote. */
export type SocketEvent =
  | { readonly type: "open" }
  | {
      readonly type: "output";
      readonly stream: "stdout" | "stderr" | "pty";
      readonly offset: number;
      readonly data: Uint8Array;
      /** It was written before this connection was made. */
      readonly replayed: boolean;
    }
  /** Bytes that are lost. */
  | { readonly type: "gap"; readonly offset: number; readonly until: number }
  /** The replay is over. */
  | { readonly type: "live"; readonly offset: number }
  | { readonly type: "exit"; readonly exit: ProcessExit }
  /** Input that the process didn't take. */
  | { readonly type: "refused" };

/** One connection to a process. */
export interface ProcessSocket {
  /** To be iterated once. Ends where the server says so; throws `ConnectionError` where the connection was lost. */
  readonly events: AsyncIterable<SocketEvent>;
  /** Whether it was sent; a connection that isn't open sends nothing. `onSent` follows when it has left. */
  write(input: Uint8Array, onSent?: () => void): boolean;
  /** Bytes that wait to be sent. */
  waitingBytes(): number;
  resize(size: TerminalSize): void;
  /** Sends what waits first, where the server still answers. */
  close(): void;
}

/** Longest handshake, milliseconds. */
const handshakeMs = 5_000;
/** How often the server is asked for a sign of life, and the silence after which the connection counts as lost. */
export interface Watch {
  readonly probeMs: number;
  readonly silenceMs: number;
}
const defaultWatch: Watch = { probeMs: 5_000, silenceMs: 15_000 };
/** How long a server has to answer that the client leaves, milliseconds. */
const closeMs = 1_000;
/** Bytes of output that wait for a slow terminal before the server isn't read any more. */
const waitingOutputBytesMax = 1024 * 1024;
/** How much of a refusal is read, bytes. */
const refusalBytesMax = 64 * 1024;

/** Failures of the server's that may pass. */
const passingReasons: readonly (string | undefined)[] = [
  "guest_unreachable",
  "internal",
  "lease_lost",
  "shutting_down",
  "store_unavailable",
];
const passingStatuses: readonly (number | undefined)[] = [429, 502, 503, 504];

/** Whether another connection may have what this one lost. */
export const isPassing = (error: unknown): boolean =>
  error instanceof ConnectionError ||
  (error instanceof StacyVMError &&
    (passingStatuses.includes(error.statusCode) || passingReasons.includes(error.reason)));

/** The head of a frame of output: the stream, its top bit that this is a replay; then the offset. */
const frameHead = 9;
const replayedFlag = 0x80;
const streams = [undefined, "stdout", "stderr", "pty"] as const;

export function openProcessSocket(
  server: ServerAddress,
  { sandboxId, processId }: ProcessAddress,
  offset: number,
  watch = defaultWatch,
): ProcessSocket {
  const path = `/sandboxes/${encodeURIComponent(sandboxId)}/processes/${encodeURIComponent(processId)}/socket`;
  const socket = openServerSocket(server, `${path}?offset=${offset}`, { handshakeTimeout: handshakeMs });
  const queue: SocketEvent[] = [];
  let waitingOutput = 0;
  let end: { readonly error?: unknown } | undefined;
  let told: StacyVMError | undefined;
  let wake = (): void => {};

  const add = (event: SocketEvent | undefined): void => {
    if (event === undefined) return;
    queue.push(event);
    if (event.type === "output") waitingOutput += event.data.length;
    if (waitingOutput > waitingOutputBytesMax) socket.pause();
    wake();
  };
  const finish = (how: { readonly error?: unknown }): void => {
    end ??= how;
    wake();
  };

  const stopWatch = watchSilence(socket, watch);
  socket.on("open", () => {
    add({ type: "open" });
  });
  socket.on("message", (data: Buffer, binary) => {
    if (binary) return add(outputOf(data));
    const message = JSON.parse(data.toString()) as Record<string, unknown>;
    if (message.type !== "error") return add(eventOf(message));
    told = new StacyVMError(String(message.error), undefined, undefined, { reason: String(message.reason) });
    add({ type: "refused" });
  });
  socket.on("unexpected-response", (_request, response) => {
    refusal(response, sandboxId).then((error) => finish({ error }));
    stopWatch();
  });
  socket.on("error", (error) => finish({ error: new ConnectionError(error.message, { cause: error }) }));
  socket.on("close", (code) => {
    stopWatch();
    if (code === 1000) finish({});
    else if (code === 1011 && told !== undefined) finish({ error: told });
    else finish({ error: new ConnectionError("The connection was lost", { cause: new Error(`closed with ${code}`) }) });
  });

  async function* events(): AsyncGenerator<SocketEvent> {
    for (;;) {
      const event = queue.shift();
      if (event !== undefined) {
        yield event;
        if (event.type !== "output") continue;
        waitingOutput -= event.data.length;
        if (waitingOutput <= waitingOutputBytesMax) socket.resume();
      } else if (end === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      } else if (end.error === undefined) return;
      else throw end.error;
    }
  }

  return {
    events: events(),
    write(input, onSent) {
      if (socket.readyState !== socket.OPEN) return false;
      socket.send(input, { binary: true }, () => onSent?.());
      return true;
    },
    waitingBytes: () => socket.bufferedAmount,
    resize({ cols, rows }) {
      if (socket.readyState === socket.OPEN) socket.send(JSON.stringify({ type: "resize", cols, rows }));
    },
    close() {
      if (socket.readyState !== socket.OPEN) return socket.terminate();
      socket.resume();
      socket.close(1000);
      const timer = setTimeout(() => socket.terminate(), closeMs);
      socket.once("close", () => clearTimeout(timer));
    },
  };
}

/** Ends a connection on which nothing comes, not even an answer to a ping; a paused one is silent by our own will. */
function watchSilence(socket: WebSocket, { probeMs, silenceMs }: Watch): () => void {
  let heardAt = performance.now();
  const heard = () => {
    heardAt = performance.now();
  };
  for (const name of ["open", "message", "ping", "pong"]) socket.on(name, heard);
  const timer = setInterval(() => {
    if (socket.isPaused) heard();
    else if (performance.now() - heardAt >= silenceMs) socket.terminate();
    else if (socket.readyState === socket.OPEN) socket.ping();
  }, probeMs);
  return () => clearInterval(timer);
}

function outputOf(frame: Buffer): SocketEvent | undefined {
  const first = frame[0] ?? 0;
  const stream = streams[first & ~replayedFlag];
  if (stream === undefined || frame.length < frameHead) return undefined;
  const offset = Number(frame.readBigUInt64BE(1));
  return { type: "output", stream, offset, data: frame.subarray(frameHead), replayed: (first & replayedFlag) !== 0 };
}

/** Undefined for what a later server may say and this client doesn't know. */
function eventOf({ type, offset, until, exit }: Record<string, unknown>): SocketEvent | undefined {
  if (type === "exit") return { type, exit: exit as ProcessExit };
  if (typeof offset !== "number") return undefined;
  if (type === "live") return { type, offset };
  return type === "gap" && typeof until === "number" ? { type, offset, until } : undefined;
}

/** The error that an answer instead of a WebSocket stands for. */
async function refusal(response: IncomingMessage, sandboxId: string): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > refusalBytesMax) break;
      chunks.push(chunk);
    }
    const { statusCode: status = 500, statusMessage: statusText = "" } = response;
    await handleResponse(new Response(Buffer.concat(chunks), { status, statusText }), sandboxId);
    return new StacyVMError(`The server answered ${status} where a WebSocket was asked for`);
  } catch (error) {
    return error instanceof StacyVMError
      ? error
      : new ConnectionError("The connection was lost during an answer", { cause: error });
  } finally {
    response.destroy();
  }
}
