import { StacyError } from "@stacyvm/contract";

/** Largest message an agent may send, bytes: chunks of output are 64 KiB, listings a few MiB. */
export const agentMessageMaxBytes = 8 * 1024 * 1024;

/** Flags and length, before each message. */
export const envelopeHeaderLength = 5;

const endFlag = 0b10;
const compressedFlag = 0b01;

/** The one message of a request in Connect's streaming form: flags, length, payload. */
export function encodeEnvelope(payload: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(envelopeHeaderLength + payload.length);
  out[0] = 0;
  out.writeUInt32BE(payload.length, 1);
  out.set(payload, envelopeHeaderLength);
  return out;
}

/** What stands before a message. Throws guest_protocol for one that is compressed or above the bound. */
export function decodeEnvelopeHeader(bytes: Buffer, at: number): { readonly end: boolean; readonly length: number } {
  const flags = bytes[at] ?? 0;
  const length = bytes.readUInt32BE(at + 1);
  if (length > agentMessageMaxBytes) throw unexpected(`a message of ${length} bytes`);
  if ((flags & compressedFlag) !== 0) throw unexpected("a compressed message");
  return { end: (flags & endFlag) !== 0, length };
}

export function unexpected(what: string, cause?: unknown): StacyError {
  return new StacyError("guest_protocol", `the sandbox's agent sent ${what}`, { cause });
}
