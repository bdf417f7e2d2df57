import type { ExecEvent, OutputStream } from "../guest.ts";

/** Output that follows itself, moved together within the memory that it was read into. */
export class OutputRun {
  #stream: OutputStream = "stdout";
  #bytes: Buffer | undefined;
  #from = 0;
  #to = 0;

  /** Whether output of this stream can follow what is held. */
  takes(stream: OutputStream): boolean {
    return this.#bytes === undefined || this.#stream === stream;
  }

  add(stream: OutputStream, bytes: Buffer, at: number, count: number): void {
    if (this.#bytes === undefined) {
      this.#stream = stream;
      this.#bytes = bytes;
      this.#from = this.#to = at;
    } else {
      bytes.copyWithin(this.#to, at, at + count);
    }
    this.#to += count;
  }

  *flush(): Generator<ExecEvent> {
    const data = this.#bytes?.subarray(this.#from, this.#to);
    this.#bytes = undefined;
    if (data !== undefined) yield { type: "output", stream: this.#stream, data };
  }
}
