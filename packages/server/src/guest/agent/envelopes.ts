import { ByteCursor } from "./byte-cursor.ts";
import { decodeEnvelopeHeader, envelopeHeaderLength, unexpected } from "./envelope.ts";

/** Messages in Connect's streaming form, the call's end last. Payloads are the reader's own. */
export async function* envelopes(parts: AsyncIterable<Buffer>): AsyncGenerator<{ end: boolean; payload: Buffer }> {
  await using input = new ByteCursor(parts);
  while (await input.fill(1)) {
    if (!(await input.fill(envelopeHeaderLength))) throw unexpected("a message that ends early");
    const { end, length } = decodeEnvelopeHeader(input.bytes, input.at);
    input.at += envelopeHeaderLength;
    if (!(await input.fill(length))) throw unexpected("a message that ends early");
    const payload = Buffer.from(input.bytes.subarray(input.at, input.at + length));
    input.at += length;
    yield { end, payload };
  }
}
