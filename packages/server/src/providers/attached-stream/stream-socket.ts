import type { OnReadOpts } from "node:net";
import { Duplex } from "node:stream";
import type { AgentConnection } from "../../guest/guest.ts";
import { ByteQueue } from "./byte-queue.ts";
import type { Channel, Session, StreamEnd, WriteDone } from "./session.ts";

/** What may wait between a writer and the session, bytes. */
const unsentBytes = 64 * 1024;

/** One stream of an attachment as a socket: its reads, half-closes, idle time and `onread` are those of net.Socket. */
export class StreamSocket extends Duplex implements AgentConnection {
  readonly #onread: OnReadOpts | undefined;
  readonly #arrived = new ByteQueue();
  #channel: Channel | undefined;
  #reading = true;
  #ended = false;
  #endTold = false;
  #gone = false;
  #unwritten: WriteDone | undefined;
  /** What was asked for before the session stood. */
  #early: (() => void) | undefined;
  #idle: NodeJS.Timeout | undefined;
  /** As http.Agent looks at it, milliseconds. */
  timeout = 0;

  constructor(session: Promise<Session>, onread: OnReadOpts | undefined) {
    // One part at a time waits in the stream itself: bytes are counted here, and parts cost more than their bytes.
    super({ allowHalfOpen: false, readableHighWaterMark: 1, writableHighWaterMark: unsentBytes });
    this.#onread = onread;
    this.once("end", () => this.#failUnwritten());
    session.then(
      (found) => this.#open(found),
      (error: Error) => this.destroy(error),
    );
  }

  #open(session: Session): void {
    if (this.destroyed) return;
    const end: StreamEnd = {
      receive: (bytes) => this.#receive(bytes),
      ended: () => {
        this.#ended = true;
        this.#deliver();
      },
      closed: (unwritten) => {
        this.#gone = true;
        this.#unwritten = unwritten;
        if (this.readableEnded) this.#failUnwritten();
      },
      failed: (error) => this.destroy(error),
    };
    try {
      this.#channel = session.open(end);
    } catch (error) {
      this.destroy(error as Error);
      return;
    }
    this.#early?.();
    this.#early = undefined;
    this.emit("connect");
  }

  get connecting(): boolean {
    return this.#channel === undefined && !this.destroyed;
  }

  get readyState(): "opening" | "open" | "closed" {
    if (this.destroyed) return "closed";
    return this.connecting ? "opening" : "open";
  }

  #receive(bytes: Buffer): void {
    this.#idle?.refresh();
    let rest = bytes;
    if (this.#onread !== undefined && this.#arrived.empty) {
      while (rest.length > 0 && this.#reading) rest = rest.subarray(this.#hand(this.#onread, (to) => rest.copy(to)));
    }
    if (rest.length === 0) return;
    this.#arrived.append(rest);
    this.#deliver();
  }

  /** Gives the reader's own memory back to it with bytes in it, and returns how many. */
  #hand({ buffer, callback }: OnReadOpts, fill: (to: Uint8Array) => number): number {
    const memory = typeof buffer === "function" ? buffer() : buffer;
    const length = fill(memory);
    this.#channel?.read(length);
    if (callback(length, memory) === false) this.#reading = false;
    return length;
  }

  #deliver(): void {
    if (this.#onread !== undefined) {
      while (this.#reading && !this.#arrived.empty) this.#hand(this.#onread, (to) => this.#arrived.readInto(to));
    } else if (this.#reading) {
      const bytes = this.#arrived.take();
      if (bytes !== undefined) {
        this.#reading = false;
        this.#channel?.read(bytes.length);
        this.push(bytes);
        return;
      }
    }
    if (!this.#reading || !this.#arrived.empty || !this.#ended || this.#endTold) return;
    this.#endTold = true;
    this.push(null);
    // Tells the end to who reads by `onread`, or not at all.
    this.read(0);
  }

  override _read(): void {
    if (this.#onread !== undefined) return;
    this.#reading = true;
    this.#deliver();
  }

  override resume(): this {
    if (this.#onread !== undefined && !this.#reading) {
      this.#reading = true;
      // As with net.Socket nothing is handed over before this returns.
      process.nextTick(() => this.#deliver());
    }
    return super.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: WriteDone): void {
    this.#idle?.refresh();
    if (this.#channel === undefined) this.#early = () => this._write(chunk, _encoding, done);
    else if (!this.#gone) this.#channel.write(chunk, done);
    else if (this.readableEnded) done(brokenPipe());
    else this.#unwritten = done;
  }

  override _writev(chunks: { chunk: Buffer }[], done: WriteDone): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), "buffer" as BufferEncoding, done);
  }

  override _final(done: WriteDone): void {
    if (this.#channel === undefined) {
      this.#early = () => this._final(done);
      return;
    }
    this.#channel.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearTimeout(this.#idle);
    this.#arrived.clear();
    this.#channel?.close();
    done(error);
  }

  /** What the agent will never read fails only when its last words were read: they may say why. */
  #failUnwritten(): void {
    const done = this.#unwritten;
    this.#unwritten = undefined;
    if (this.#gone) done?.(brokenPipe());
  }

  setTimeout(timeoutMs: number, callback?: () => void): this {
    clearTimeout(this.#idle);
    this.timeout = timeoutMs;
    this.#idle = timeoutMs > 0 ? setTimeout(() => this.emit("timeout"), timeoutMs).unref() : undefined;
    if (callback !== undefined && timeoutMs > 0) this.once("timeout", callback);
    else if (callback !== undefined) this.off("timeout", callback);
    return this;
  }

  /** The attachment is what keeps a program alive, or doesn't. */
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
  setNoDelay(): this {
    return this;
  }

  /** As net.Socket has it for who wrote everything. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once("finish", () => this.destroy());
  }
}

const brokenPipe = (): Error => Object.assign(new Error("the agent closed the connection"), { code: "EPIPE" });
