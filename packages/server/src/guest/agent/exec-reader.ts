import { fromBinary } from "@bufbuild/protobuf";
import type { ExecEvent, OutputStream } from "../guest.ts";
import { ExecEventSchema, type ExecEvent as WireEvent } from "../wire/stacyvm/guest/v1/guest_pb.js";
import { ByteCursor } from "./byte-cursor.ts";
import { decodeEnvelopeHeader, envelopeHeaderLength, unexpected } from "./envelope.ts";
import { execEvent, outputStream } from "./exec-events.ts";
import { OutputRun } from "./output-run.ts";

/** Messages up to this are decoded whole, bytes; of longer ones the output is handed on as it arrives. */
const wholeMessageLength = 512;
/** Tags, lengths and stream that stand before the output in its message, at most, bytes. */
const outputHeaderLength = 13;
/** Tags of the event's data, and of stream and bytes within it. */
const [dataTag, streamTag, bytesTag] = [0x12, 0x08, 0x12];

/** The message that says how a call ended. */
export interface CallEnd {
  readonly type: "end";
  readonly payload: Uint8Array;
}

/**
 * A command's events from Connect's envelopes, the call's end last. Output that was read together is one event; nothing
 * that was read waits for what was not. Data is valid until the next event is asked for. Throws guest_protocol.
 */
export async function* readExecEvents(parts: AsyncIterable<Buffer>): AsyncGenerator<ExecEvent | CallEnd> {
  await using input = new ByteCursor(parts);
  const run = new OutputRun();
  async function* fill(count: number): AsyncGenerator<ExecEvent> {
    yield* run.flush();
    if (!(await input.fill(count))) throw unexpected("a message that ends early");
  }

  for (;;) {
    if (input.left === 0) {
      yield* run.flush();
      if (!(await input.fill(1))) return;
    }
    if (input.left < envelopeHeaderLength) yield* fill(envelopeHeaderLength);
    const { end, length } = decodeEnvelopeHeader(input.bytes, input.at);
    input.at += envelopeHeaderLength;
    if (!end && length > wholeMessageLength) {
      if (input.left < outputHeaderLength) yield* fill(outputHeaderLength);
      const header = outputHeader(input.bytes.subarray(input.at, input.at + outputHeaderLength), length);
      if (header !== undefined) {
        if (!run.takes(header.stream)) yield* run.flush();
        input.at += header.length;
        for (let left = header.bytes; left > 0; ) {
          if (input.left === 0) yield* fill(1);
          const count = Math.min(left, input.left);
          run.add(header.stream, input.bytes, input.at, count);
          input.at += count;
          left -= count;
        }
        for (let left = length - header.length - header.bytes; left > 0; ) {
          if (input.left === 0) yield* fill(1);
          const count = Math.min(left, input.left);
          input.at += count;
          left -= count;
        }
        continue;
      }
    }
    if (input.left < length) yield* fill(length);
    yield* run.flush();
    const payload = input.bytes.subarray(input.at, input.at + length);
    input.at += length;
    if (end) {
      yield { type: "end", payload };
      if (await input.fill(1)) throw unexpected("a message behind the last one");
      return;
    }
    const event = execEvent(decoded(payload));
    if (event !== undefined) yield event;
  }
}

function decoded(payload: Uint8Array): WireEvent {
  try {
    return fromBinary(ExecEventSchema, payload);
  } catch (error) {
    throw unexpected("a message that can't be decoded", error);
  }
}

interface OutputHeader {
  readonly stream: OutputStream;
  /** Its own length. */
  readonly length: number;
  /** Output behind it. */
  readonly bytes: number;
}

/** The beginning of a message that is output as agents write it: stream, then bytes; undefined for any other. */
function outputHeader(bytes: Buffer, messageLength: number): OutputHeader | undefined {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = bytes[at++] ?? 0;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return Number.NaN;
  };
  if (bytes[at++] !== dataTag) return undefined;
  const dataLength = varint();
  if (at + dataLength !== messageLength || bytes[at++] !== streamTag) return undefined;
  const stream = outputStream(varint());
  if (bytes[at++] !== bytesTag) return undefined;
  const outputLength = varint();
  if (!(at + outputLength <= messageLength)) return undefined;
  return { stream, length: at, bytes: outputLength };
}
