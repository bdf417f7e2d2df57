import type { Duplex } from "node:stream";
import { StacyError } from "@stacyvm/contract";
import { nonce } from "../../lib/id.ts";
import { BrokenStreamError, FrameReader } from "./frame-reader.ts";
import {
  type FrameKind,
  frameBytesMax,
  frameHeader,
  frameKind,
  hello,
  seedOf,
  streamsMax,
  windowBytes,
} from "./framing.ts";

/** A hello without an answer is followed by another with a nonce of its own after this, milliseconds. */
const helloIntervalMs = 1000;
/** An attachment with streams that brings nothing between two looks, this far apart, milliseconds, is lost. */
const livenessIntervalMs = 15_000;
/** What may wait for an attachment that takes nothing before it is given up, bytes. */
const unsentBytesMax = 1024 * 1024;

/** The end of a stream that its user has. */
export interface StreamEnd {
  /** Valid until the call returns. */
  receive(bytes: Buffer): void;
  /** The agent sends no more. */
  ended(): void;
  /** Nor does it read any more; a write under way never ends. */
  closed(unwritten: WriteDone | undefined): void;
  failed(error: Error): void;
}

export type WriteDone = (error?: Error) => void;

interface Stream {
  readonly id: number;
  readonly end: StreamEnd;
  credit: number;
  /** Received, and not yet told as read. */
  unread: number;
  read: number;
  ended: boolean;
  gone: boolean;
  queued: boolean;
  writing: { bytes: Buffer; readonly done: WriteDone } | undefined;
}

/** One stream of a session, by which its user sends. */
export interface Channel {
  /** One at a time. */
  write(bytes: Buffer, done: WriteDone): void;
  end(): void;
  /** So many received bytes were read. */
  read(bytes: number): void;
  close(): void;
}

export interface SessionOptions {
  readonly attachment: Duplex;
  readonly key: Uint8Array;
  /** Once, when nothing can be sent any more. */
  readonly over: () => void;
}

export const lostStream = (why: string, cause?: unknown): StacyError =>
  // The code is what tells libraries between here and the caller that a connection broke.
  Object.assign(new StacyError("guest_unreachable", `the stream to the sandbox's agent is lost: ${why}`, { cause }), {
    code: "ECONNRESET",
  });

/** Many streams over one attachment, from its hello to its loss. The other end is hostile: all that it sends is bounded. */
export class Session {
  readonly #options: SessionOptions;
  readonly #attachment: Duplex;
  readonly #reader: FrameReader;
  readonly #begun = Promise.withResolvers<void>();
  readonly #streams = new Map<number, Stream>();
  readonly #ready: Stream[] = [];
  #greeting: NodeJS.Timeout | undefined;
  #looking: NodeJS.Timeout | undefined;
  #seed = 0;
  #last = 0;
  #blocked = false;
  #sending = false;
  #asked = false;
  #failure: Error | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#attachment = options.attachment;
    this.#reader = new FrameReader(
      () => this.#begin(),
      (kind, id, payload) => this.#frame(kind, id, payload),
    );
    this.#begun.promise.catch(() => {});
    this.#attachment
      .on("data", (chunk: Buffer) => this.#receive(chunk))
      .on("drain", () => this.#unblock())
      .on("error", (error) => this.fail(lostStream("the attachment broke", error)))
      .on("end", () => this.fail(lostStream("the attachment ended")))
      .on("close", () => this.fail(lostStream("the attachment ended")));
  }

  /** Resolves once the agent has answered. Throws guest_unreachable. */
  async begin(signal: AbortSignal): Promise<void> {
    const abort = (): void => this.fail(lostStream("the agent does not answer", signal.reason));
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    this.#greet();
    this.#greeting = setInterval(() => this.#greet(), helloIntervalMs).unref();
    try {
      await this.#begun.promise;
    } finally {
      clearInterval(this.#greeting);
      signal.removeEventListener("abort", abort);
    }
  }

  /** Throws sandbox_limit, and guest_unreachable once the session is over. */
  open(end: StreamEnd): Channel {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#streams.size >= streamsMax) {
      throw new StacyError("sandbox_limit", `the sandbox has ${streamsMax} connections already`);
    }
    const id = ++this.#last;
    const stream: Stream = {
      id,
      end,
      credit: windowBytes,
      unread: 0,
      read: 0,
      ended: false,
      gone: false,
      queued: false,
      writing: undefined,
    };
    this.#streams.set(id, stream);
    this.#send(frameKind.open, id);
    return {
      write: (bytes, done) => {
        stream.writing = { bytes, done };
        this.#enqueue(stream);
        this.#pump();
      },
      end: () => {
        if (!stream.gone) this.#send(frameKind.end, id);
      },
      read: (bytes) => this.#tellRead(stream, bytes),
      close: () => {
        if (!this.#streams.delete(id)) return;
        stream.writing = undefined;
        if (!stream.gone) this.#send(frameKind.close, id);
      },
    };
  }

  /** Ends every stream with the error; idempotent. */
  fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    clearInterval(this.#greeting);
    clearInterval(this.#looking);
    this.#attachment.destroy();
    this.#begun.reject(error);
    this.#options.over();
    const streams = [...this.#streams.values()];
    this.#streams.clear();
    this.#ready.length = 0;
    for (const stream of streams) stream.end.failed(error);
  }

  #greet(): void {
    // What was said before has yet to leave.
    if (this.#failure !== undefined || this.#attachment.writableLength > 0) return;
    const fresh = nonce();
    this.#seed = seedOf(fresh);
    this.#reader.await(fresh);
    this.#attachment.write(hello(this.#options.key, fresh));
  }

  #begin(): void {
    clearInterval(this.#greeting);
    this.#looking = setInterval(() => this.#look(), livenessIntervalMs).unref();
    this.#begun.resolve();
  }

  #look(): void {
    if (this.#asked) this.fail(lostStream("the agent is silent"));
    else if (this.#streams.size > 0) {
      this.#asked = true;
      this.#send(frameKind.ping, 0);
    }
  }

  #receive(chunk: Buffer): void {
    this.#asked = false;
    if (this.#failure !== undefined) return;
    try {
      this.#reader.push(chunk);
    } catch (error) {
      this.fail(lostStream(error instanceof BrokenStreamError ? error.message : "it can't be read", error));
    }
  }

  #frame(kind: FrameKind, id: number, payload: Buffer): void {
    if (this.#failure !== undefined || kind === frameKind.pong) return;
    if (kind === frameKind.lost) throw new BrokenStreamError("another host has attached, or what was sent was damaged");
    if (id === 0 || id > this.#last) throw new BrokenStreamError("a stream that was never opened");
    const stream = this.#streams.get(id);
    // Closed here, which the agent has yet to read.
    if (stream === undefined) return;
    switch (kind) {
      case frameKind.data:
        stream.unread += payload.length;
        if (stream.ended || stream.unread > windowBytes) throw new BrokenStreamError("more than was asked for");
        stream.end.receive(payload);
        break;
      case frameKind.window:
        if (payload.length === 4) stream.credit += payload.readUInt32BE();
        if (payload.length !== 4 || stream.credit > windowBytes) throw new BrokenStreamError("a window that can't be");
        this.#enqueue(stream);
        this.#pump();
        break;
      case frameKind.end:
        this.#ended(stream);
        break;
      case frameKind.close: {
        const { writing } = stream;
        stream.gone = true;
        stream.writing = undefined;
        this.#ended(stream);
        stream.end.closed(writing?.done);
        break;
      }
      default:
        throw new BrokenStreamError("a frame that no agent sends");
    }
  }

  #ended(stream: Stream): void {
    if (!stream.ended) stream.end.ended();
    stream.ended = true;
  }

  #tellRead(stream: Stream, bytes: number): void {
    stream.read += bytes;
    if (stream.ended || stream.read < windowBytes / 2) return;
    const credit = Buffer.alloc(4);
    credit.writeUInt32BE(stream.read);
    stream.unread -= stream.read;
    stream.read = 0;
    this.#send(frameKind.window, stream.id, credit);
  }

  #enqueue(stream: Stream): void {
    if (stream.queued || stream.gone || stream.writing === undefined || stream.credit === 0) return;
    stream.queued = true;
    this.#ready.push(stream);
  }

  /** A frame of each stream in turn, for as long as the attachment takes them. */
  #pump(): void {
    if (this.#sending) return;
    this.#sending = true;
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      const { stream, writing } = next;
      const part = writing.bytes.subarray(0, Math.min(frameBytesMax, stream.credit));
      writing.bytes = writing.bytes.subarray(part.length);
      stream.credit -= part.length;
      this.#send(frameKind.data, stream.id, part);
      if (writing.bytes.length > 0) this.#enqueue(stream);
      else {
        stream.writing = undefined;
        writing.done();
      }
    }
    this.#sending = false;
  }

  #next(): { readonly stream: Stream; readonly writing: NonNullable<Stream["writing"]> } | undefined {
    while (!this.#blocked && this.#failure === undefined) {
      const stream = this.#ready.shift();
      if (stream === undefined) return undefined;
      stream.queued = false;
      if (stream.writing !== undefined) return { stream, writing: stream.writing };
    }
    return undefined;
  }

  #unblock(): void {
    this.#blocked = false;
    this.#pump();
  }

  #send(kind: FrameKind, id: number, payload?: Uint8Array): void {
    if (this.#failure !== undefined) return;
    const attachment = this.#attachment;
    if (attachment.writableCorked === 0) {
      attachment.cork();
      process.nextTick(() => attachment.uncork());
    }
    let more = attachment.write(frameHeader(this.#seed, kind, id, payload));
    if (payload !== undefined) more = attachment.write(payload);
    if (!more) this.#blocked = true;
    if (attachment.writableLength > unsentBytesMax) this.fail(lostStream("the attachment takes nothing"));
  }
}
