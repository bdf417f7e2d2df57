import type { AgentConnection, Dial } from "../guest.ts";

/** What a connection reads into, bytes. */
const readBytes = 16 * 1024;
/** What it reads into once that was full, bytes. */
const bulkReadBytes = 256 * 1024;

/**
 * A connection that reads only when asked and always into the same memory: bulk bytes then cost the collector nothing,
 * which a buffer for each read does not.
 */
export class PlainConnection {
  readonly #socket: AgentConnection;
  readonly #small = Buffer.allocUnsafeSlow(readBytes);
  #bulk: Buffer | undefined;
  #next: Buffer = this.#small;
  #arrived: Buffer | undefined;
  #waiting: PromiseWithResolvers<Buffer | undefined> | undefined;
  #kept = false;
  #failure: Error | undefined;

  constructor(dial: Dial) {
    this.#socket = dial({ buffer: () => this.#next, callback: (length, buffer) => this.#take(buffer, length) });
    this.#socket.on("error", (error) => {
      this.#failure = error;
    });
    this.#socket.on("timeout", () => this.#socket.destroy());
    this.#socket.on("close", () => this.#end());
  }

  get closed(): boolean {
    return this.#socket.destroyed || this.#socket.readableEnded;
  }

  onClose(listener: () => void): void {
    this.#socket.once("close", listener);
  }

  write(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** What arrives next, which is valid until the next call; undefined at the end. Throws what the socket failed with. */
  async read(): Promise<Buffer | undefined> {
    const arrived = this.#arrived;
    this.#arrived = undefined;
    if (arrived !== undefined) return arrived;
    if (this.#failure !== undefined) throw this.#failure;
    if (this.closed) return undefined;
    this.#waiting = Promise.withResolvers();
    this.#socket.resume();
    return await this.#waiting.promise;
  }

  /** Between two requests: it closes when the other end does, when that says anything unasked, and after the time. */
  keep(idleMs: number): void {
    this.#kept = true;
    this.#bulk = undefined;
    this.#next = this.#small;
    this.#socket.setTimeout(idleMs).unref().resume();
  }

  use(): void {
    this.#kept = false;
    this.#socket.setTimeout(0).ref();
  }

  destroy(reason?: Error): void {
    this.#failure ??= reason;
    this.#socket.destroy(reason);
  }

  /** Returns false, which stops the socket from reading on. */
  #take(buffer: Uint8Array, length: number): boolean {
    if (length === buffer.length) this.#bulk ??= Buffer.allocUnsafeSlow(bulkReadBytes);
    this.#next = this.#bulk !== undefined && length >= readBytes ? this.#bulk : this.#small;
    const bytes = Buffer.from(buffer.buffer, buffer.byteOffset, length);
    if (this.#kept) this.#socket.destroy();
    else if (this.#waiting === undefined) this.#arrived = bytes;
    else this.#waiting.resolve(bytes);
    this.#waiting = undefined;
    return false;
  }

  #end(): void {
    if (this.#failure === undefined) this.#waiting?.resolve(undefined);
    else this.#waiting?.reject(this.#failure);
    this.#waiting = undefined;
  }
}
