import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import type { Operation, Unstructured } from "@stacyvm/contract";
import type { WebSocket } from "ws";
import type { z } from "zod";
import type { Identity } from "./identity.ts";
import type { ProxyCarrier } from "./port-proxy.ts";

/** Rows declare these as optional; what a row has is what counts. */
type Parsed<S> = [NonNullable<S>] extends [never]
  ? Record<string, never>
  : NonNullable<S> extends z.ZodType
    ? z.output<NonNullable<S>>
    : Record<string, never>;
type ParsedBody<B> = [NonNullable<B>] extends [never]
  ? undefined
  : NonNullable<B> extends z.ZodType
    ? z.output<NonNullable<B>>
    : NonNullable<B> extends "bytes"
      ? Readable
      : undefined;

/** What a handler gets: decoded, checked against the row, and who asks. */
export interface OperationRequest<R extends Operation = Operation> {
  readonly params: Parsed<R["params"]>;
  readonly query: Parsed<R["query"]>;
  /** The request's stream where the row says `bytes`. */
  readonly body: ParsedBody<R["body"]>;
  readonly identity: Identity;
  readonly requestId: string;
  /** Lower-case names. */
  readonly headers: IncomingHttpHeaders;
  /** Aborts when the client goes away or the server shuts down. */
  readonly signal: AbortSignal;
  readonly raw: IncomingMessage;
}

/** A list is sent as one header for each of its values. */
type Headers = Readonly<Record<string, string | readonly string[]>>;

/**
 * An answer that streams. Each part is valid until the next one is asked for. The iterable ends with the answer; a
 * throw cuts the connection, so that no end is faked.
 */
export interface StreamAnswer<Status extends number = number, Media extends string = string> {
  readonly status: Status;
  readonly contentType: Media;
  readonly stream: AsyncIterable<Uint8Array | string>;
  readonly headers?: Headers;
  /** Sent after the last byte; asked when the stream has ended. */
  readonly trailers?: Readonly<Record<string, () => string>>;
}

interface EmptyAnswer<Status extends number = number> {
  readonly status: Status;
  readonly headers?: Headers;
}

interface JsonAnswer<Status extends number = number, Document = unknown> extends EmptyAnswer<Status> {
  readonly body: Document;
}

type AnswerOf<Status extends number, Content> =
  Record<never, never> extends Content
    ? EmptyAnswer<Status>
    : {
        [Media in keyof Content & string]: Content[Media] extends Unstructured
          ? StreamAnswer<Status, Media>
          : Media extends "application/json"
            ? JsonAnswer<Status, Content[Media] extends z.ZodType ? z.input<Content[Media]> : never>
            : StreamAnswer<Status, Media>;
      }[keyof Content & string];

/** Any answer that the row declares. */
export type Answer<R extends Operation = Operation> = {
  [Status in keyof R["answers"] & number]: AnswerOf<Status, R["answers"][Status]>;
}[keyof R["answers"] & number];

/** Any answer at all, as the binding sends it. */
export type AnyAnswer = EmptyAnswer | JsonAnswer | StreamAnswer;

/** Serves one operation. Failures are thrown. A WebSocket handler resolves when the conversation is over. */
export type Handler<R extends Operation> = R extends { readonly stream: "proxy" }
  ? (request: OperationRequest<R>, carrier: ProxyCarrier) => Promise<void>
  : R extends { readonly permission: "signature" }
    ? (request: Omit<OperationRequest<R>, "identity">) => Promise<Answer<R>>
    : 101 extends keyof R["answers"]
      ? (request: OperationRequest<R>, socket: WebSocket) => Promise<void>
      : (request: OperationRequest<R>) => Promise<Answer<R>>;

/** One handler for each row. */
export type HandlersOf<Rows extends readonly Operation[]> = {
  readonly [R in Rows[number] as R["id"]]: Handler<R>;
};
