import { createHash } from "node:crypto";
import fs from "node:fs";

/** A local file in pieces, each of which may be asked for again; its checksum covers every byte once, in order. */
export class HashedFile implements Disposable {
  readonly size: number;
  readonly #fd: number;
  readonly #hash = createHash("sha256");
  #hashedBytes = 0;

  constructor(path: string) {
    this.#fd = fs.openSync(path, "r");
    this.size = fs.fstatSync(this.#fd).size;
  }

  slice(start: number, end: number): Uint8Array<ArrayBuffer> {
    const piece = this.#read(start, end);
    if (start <= this.#hashedBytes && this.#hashedBytes < start + piece.length) {
      this.#hash.update(piece.subarray(this.#hashedBytes - start));
      this.#hashedBytes = start + piece.length;
    }
    return piece;
  }

  /** Reads what was never asked for, the part that an earlier copy sent among it. */
  checksum(): string {
    const pieceBytes = 4 * 1024 * 1024;
    // The beginning comes first whatever was read: a copy that goes on starts in the middle.
    while (this.#hashedBytes < this.size) {
      const before = this.#hashedBytes;
      this.slice(before, Math.min(before + pieceBytes, this.size));
      if (this.#hashedBytes === before) break;
    }
    return `sha256:${this.#hash.digest("hex")}`;
  }

  #read(start: number, end: number): Uint8Array<ArrayBuffer> {
    const piece = new Uint8Array(Math.max(0, end - start));
    let at = 0;
    while (at < piece.length) {
      const bytes = fs.readSync(this.#fd, piece, at, piece.length - at, start + at);
      if (bytes === 0) break; // It became shorter: the server refuses what is missing.
      at += bytes;
    }
    return piece.subarray(0, at);
  }

  [Symbol.dispose](): void {
    fs.closeSync(this.#fd);
  }
}
