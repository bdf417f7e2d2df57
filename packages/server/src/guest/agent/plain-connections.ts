import { StacyError } from "@stacyvm/contract";
import type { Dial } from "../guest.ts";
import { type Framing, framingOf } from "./http-framing.ts";
import { type Head, headBytesMax, malformed, parseHead } from "./http-head.ts";
import { PlainConnection } from "./plain-connection.ts";

/** Plain connections kept open per sandbox for the next command or file. */
export const keptConnectionsMax = 8;
/** A kept connection is closed after this, milliseconds. */
const keptConnectionTimeoutMs = 60_000;

export interface AgentRequest {
  readonly method: "GET" | "HEAD" | "POST";
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

export interface Answer extends Head {
  /** To be read to its end, left early, or discarded; else the connection stays taken. */
  readonly body: AnswerBody;
  /** Those that the head announced, once the body has been read to its end. */
  readonly trailers: ReadonlyMap<string, string>;
}

/** Bytes of an answer; each part is valid until the next one is asked for. A reader that leaves closes the connection. */
export interface AnswerBody extends AsyncIterable<Buffer> {
  discard(): void;
}

export interface PlainConnections {
  /** Throws guest_protocol for what is no HTTP, and what the socket throws. An abort closes the connection. */
  send(request: AgentRequest, signal: AbortSignal): Promise<Answer>;
  destroy(): void;
}

/** HTTP/1.1 connections to one agent: an answer's bytes are read into memory that is used again. */
export function plainConnections(dial: Dial): PlainConnections {
  const all = new Set<PlainConnection>();
  const kept: PlainConnection[] = [];

  const take = (): PlainConnection => {
    for (let found = kept.pop(); found !== undefined; found = kept.pop()) {
      if (found.closed) continue;
      found.use();
      return found;
    }
    const connection = new PlainConnection(dial);
    all.add(connection);
    connection.onClose(() => all.delete(connection));
    return connection;
  };
  const keep = (connection: PlainConnection): void => {
    if (kept.length >= keptConnectionsMax || connection.closed) {
      connection.destroy();
      return;
    }
    connection.keep(keptConnectionTimeoutMs);
    kept.push(connection);
  };

  return {
    send: async (request, signal) => {
      signal.throwIfAborted();
      const connection = take();
      const abort = (): void => connection.destroy(signal.reason instanceof Error ? signal.reason : undefined);
      signal.addEventListener("abort", abort, { once: true });
      const release = (reusable: boolean): void => {
        signal.removeEventListener("abort", abort);
        if (reusable) keep(connection);
        else connection.destroy();
      };
      try {
        connection.write(encodeRequest(request));
        const { head, rest } = await readHead(connection);
        const framing = framingOf(head, request.method);
        return { ...head, body: answerBody(connection, framing, rest, release), trailers: framing.trailers };
      } catch (error) {
        release(false);
        throw error;
      }
    },
    destroy: () => {
      for (const connection of all) connection.destroy();
    },
  };
}

function encodeRequest({ method, path, headers, body }: AgentRequest): Buffer {
  const length = body === undefined ? {} : { "content-length": String(body.length) };
  const fields = Object.entries({ host: "agent", ...headers, ...length }).map(([name, value]) => `${name}: ${value}`);
  const lines = [`${method} ${path} HTTP/1.1`, ...fields];
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be in a line
  if (lines.some((line) => /[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]/.test(line))) {
    throw new StacyError("invalid_input", "invalid input: a header has characters that no header can have");
  }
  const head = Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
  return body === undefined ? head : Buffer.concat([head, body]);
}

async function readHead(connection: PlainConnection): Promise<{ readonly head: Head; readonly rest: Buffer }> {
  let held: Buffer = Buffer.alloc(0);
  for (;;) {
    const bytes = await connection.read();
    if (bytes === undefined) throw closedEarly();
    const all = held.length === 0 ? bytes : Buffer.concat([held, bytes]);
    const end = all.subarray(0, headBytesMax).indexOf("\r\n\r\n");
    if (end >= 0) return { head: parseHead(all.toString("latin1", 0, end)), rest: all.subarray(end + 4) };
    if (all.length >= headBytesMax) throw malformed();
    held = Buffer.from(all);
  }
}

function answerBody(
  connection: PlainConnection,
  framing: Framing,
  first: Buffer,
  release: (reusable: boolean) => void,
): AnswerBody {
  let released = false;
  const settle = (reusable: boolean): void => {
    if (!released) release(reusable);
    released = true;
  };
  const empty = framing.ended;
  if (empty) settle(first.length === 0);
  return {
    discard: () => settle(false),
    async *[Symbol.asyncIterator]() {
      let whole = empty;
      try {
        for (let bytes: Buffer | undefined = first; !whole; ) {
          if (bytes === undefined) throw closedEarly();
          const part = framing.content(bytes);
          if (part.length > 0) yield part;
          whole = framing.ended;
          if (!whole) bytes = await connection.read();
        }
      } finally {
        settle(whole);
      }
    },
  };
}

function closedEarly(): Error {
  return Object.assign(new Error("the agent closed the connection"), { code: "ECONNRESET" });
}
