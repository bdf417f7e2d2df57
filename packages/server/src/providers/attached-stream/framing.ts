import { crc32 } from "node:zlib";

/**
 * The wire between a host and an agent that has only its stdin and stdout: `native/internal/attached/frame.go` describes
 * it, and holds the same numbers.
 */
export const frameKind = {
  open: 1,
  data: 2,
  /** No more bytes from the sender. */
  end: 3,
  /** Nor does it read any more. */
  close: 4,
  window: 5,
  ping: 6,
  pong: 7,
  lost: 8,
} as const;
export type FrameKind = (typeof frameKind)[keyof typeof frameKind];

export const headerSize = 12;
/** Longest payload of a frame, bytes. */
export const frameBytesMax = 64 * 1024;
/** How much one stream's sender may be ahead of its reader, bytes. */
export const windowBytes = 256 * 1024;
/** Most streams of one session. */
export const streamsMax = 512;

const hostMagic = Buffer.from("\xf7stacyvm-host-v1", "latin1");
const agentMagic = Buffer.from("\xf7stacyvm-door-v1", "latin1");

export const seedOf = (nonce: Uint8Array): number => crc32(nonce);

/** The zeros end whatever frame another host left unfinished; behind them stands the hello. */
export const hello = (key: Uint8Array, nonce: Uint8Array): Buffer => {
  const words = Buffer.concat([hostMagic, key, nonce]);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(words));
  return Buffer.concat([Buffer.alloc(headerSize + frameBytesMax), words, sum]);
};

/** What the agent answers a hello with; its frames follow. */
export const acknowledgement = (nonce: Uint8Array): Buffer => Buffer.concat([agentMagic, nonce]);

/** Whether a header is the beginning of the answer to somebody else's hello. */
export const answersAnother = (header: Buffer): boolean => header.equals(agentMagic.subarray(0, headerSize));

export const frameHeader = (seed: number, kind: FrameKind, stream: number, payload?: Uint8Array): Buffer => {
  const header = Buffer.allocUnsafe(headerSize);
  header.writeUInt32BE(kind * 0x1_00_00_00 + (payload?.length ?? 0));
  header.writeUInt32BE(stream, 4);
  header.writeUInt32BE(frameSum(seed, header, payload), 8);
  return header;
};

export const frameSum = (seed: number, header: Buffer, payload?: Uint8Array): number => {
  const sum = crc32(header.subarray(0, 8), seed);
  return payload === undefined || payload.length === 0 ? sum : crc32(payload, sum);
};
