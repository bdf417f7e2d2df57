import { StacyError } from "@stacyvm/contract";

/** Largest message an agent may send, bytes: chunks of output are 64 KiB, listings a few MiB. */
export const agentMessageMaxBytes = 8 * 1024 * 1024;

const endFlag = 0b10;
const compressedFlag = 0b01;
const headerBytes = 5;

export interface Envelope {
  readonly end: boolean;
  readonly payload: Uint8Array;
}

/** The one message of a request in Connect's streaming form: flags, length, payload. */
export function encodeEnvelope(payload: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(headerBytes + payload.length);
  out[0] = 0;
  out.writeUInt32BE(payload.length, 1);
  out.set(payload, headerBytes);
  return out;
}

/**
 * Splits a byte stream into Connect's envelopes. Copies only messages that cross a chunk's border. Throws
 * guest_protocol on a message that is compressed or above the bound, and when the stream ends inside one.
 */
export async function* readEnvelopes(chunks: AsyncIterable<Buffer>): AsyncGenerator<Envelope> {
  let parts: Buffer[] = [];
  let held = 0;
  let wanted = headerBytes;
  for await (const chunk of chunks) {
    parts.push(chunk);
    held += chunk.length;
    if (held < wanted) continue;
    const buffer = parts.length === 1 ? chunk : Buffer.concat(parts, held);
    let at = 0;
    for (;;) {
      if (buffer.length - at < headerBytes) {
        wanted = headerBytes;
        break;
      }
      const flags = buffer[at] ?? 0;
      const length = buffer.readUInt32BE(at + 1);
      if (length > agentMessageMaxBytes) throw broken(`a message of ${length} bytes`);
      if ((flags & compressedFlag) !== 0) throw broken("a compressed message");
      if (buffer.length - at - headerBytes < length) {
        wanted = headerBytes + length;
        break;
      }
      yield { end: (flags & endFlag) !== 0, payload: buffer.subarray(at + headerBytes, at + headerBytes + length) };
      at += headerBytes + length;
    }
    parts = at === buffer.length ? [] : [buffer.subarray(at)];
    held = buffer.length - at;
  }
  if (held > 0) throw broken("a message that ends early");
}

function broken(what: string): StacyError {
  return new StacyError("guest_protocol", `the sandbox's agent sent ${what}`);
}
