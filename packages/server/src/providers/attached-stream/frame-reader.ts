import {
  acknowledgement,
  answersAnother,
  type FrameKind,
  frameBytesMax,
  frameKind,
  frameSum,
  headerSize,
  seedOf,
} from "./framing.ts";

const kinds: ReadonlySet<number> = new Set(Object.values(frameKind));

/** The payload is valid until the call returns. */
export type TakeFrame = (kind: FrameKind, stream: number, payload: Buffer) => void;

/** What arrived is no frame of this session; nothing behind it can be read. */
export class BrokenStreamError extends Error {
  override readonly name = "BrokenStreamError";
}

/**
 * Reads what an attachment brings: everything before the answer to the latest hello is another session's and dropped,
 * then come frames. Holds one frame at most, however the bytes are cut.
 */
export class FrameReader {
  readonly #acknowledged: () => void;
  readonly #take: TakeFrame;
  #awaited: Buffer | undefined;
  #seed = 0;
  #before: Buffer = Buffer.alloc(0);
  readonly #header = Buffer.alloc(headerSize);
  #headerHeld = 0;
  #assembly: Buffer | undefined;
  #held = 0;

  constructor(acknowledged: () => void, take: TakeFrame) {
    this.#acknowledged = acknowledged;
    this.#take = take;
  }

  /** Only the answer to the hello with this nonce begins the session. */
  await(nonce: Uint8Array): void {
    this.#awaited = acknowledgement(nonce);
    this.#seed = seedOf(nonce);
  }

  /** Throws BrokenStreamError, and what `take` throws. */
  push(chunk: Buffer): void {
    this.#frames(this.#awaited === undefined ? chunk : this.#search(chunk, this.#awaited));
  }

  /** What follows the awaited answer. */
  #search(chunk: Buffer, awaited: Buffer): Buffer {
    const all = Buffer.concat([this.#before, chunk]);
    const at = all.indexOf(awaited);
    if (at < 0) {
      this.#before = Buffer.from(all.subarray(-(awaited.length - 1)));
      return Buffer.alloc(0);
    }
    this.#before = Buffer.alloc(0);
    this.#awaited = undefined;
    this.#acknowledged();
    return all.subarray(at + awaited.length);
  }

  #frames(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#headerHeld < headerSize) {
        const copied = chunk.copy(this.#header, this.#headerHeld, at);
        this.#headerHeld += copied;
        at += copied;
        if (this.#headerHeld < headerSize) return;
        this.#check();
      }
      const left = this.#length - this.#held;
      if (chunk.length - at < left) {
        this.#assemble(chunk.subarray(at));
        return;
      }
      const rest = chunk.subarray(at, at + left);
      at += left;
      if (this.#held === 0) this.#finish(rest);
      else this.#finish(this.#assemble(rest));
    }
  }

  get #length(): number {
    return this.#header.readUIntBE(1, 3);
  }

  #check(): void {
    if (answersAnother(this.#header)) throw new BrokenStreamError("another host has attached");
    if (!kinds.has(this.#header.readUInt8()) || this.#length > frameBytesMax) {
      throw new BrokenStreamError("what arrived is no frame");
    }
  }

  #assemble(part: Buffer): Buffer {
    this.#assembly ??= Buffer.allocUnsafeSlow(frameBytesMax);
    part.copy(this.#assembly, this.#held);
    this.#held += part.length;
    return this.#assembly.subarray(0, this.#held);
  }

  #finish(payload: Buffer): void {
    this.#headerHeld = 0;
    this.#held = 0;
    if (frameSum(this.#seed, this.#header, payload) !== this.#header.readUInt32BE(8)) {
      throw new BrokenStreamError("a frame is damaged");
    }
    const kind = this.#header.readUInt8() as FrameKind;
    this.#take(kind, this.#header.readUInt32BE(4), payload);
  }
}
