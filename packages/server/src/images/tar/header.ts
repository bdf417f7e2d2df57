// POSIX.1-2017 "pax Interchange Format" and GNU tar's base-256 numbers. Names are kept as latin1 strings, one
// character per byte, so that names which are not UTF-8 survive.

export type TarType = "file" | "hardlink" | "symlink" | "char" | "block" | "directory" | "fifo";

export interface TarHeader {
  readonly name: string;
  readonly type: TarType;
  readonly linkName: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  /** Whole seconds since the epoch. */
  readonly mtimeSeconds: number;
  /** Extended attributes by name; values as latin1. */
  readonly xattrs: Readonly<Record<string, string>>;
}

export interface RawHeader extends Omit<TarHeader, "type" | "xattrs"> {
  readonly typeFlag: string;
}

export const blockBytes = 512;

export class TarFormatError extends Error {
  override readonly name = "TarFormatError";
}

/** Undefined for a block of zeros, which ends an archive. */
export function decodeHeader(block: Buffer): RawHeader | undefined {
  if (block.every((byte) => byte === 0)) return undefined;
  if (!checksumFits(block)) throw new TarFormatError("a header's checksum doesn't fit; this is not a tar archive");
  const prefix = block.toString("latin1", 257, 263) === "ustar\0" ? text(block, 345, 155) : "";
  const name = text(block, 0, 100);
  return {
    name: prefix === "" ? name : `${prefix}/${name}`,
    mode: number(block, 100, 8) & 0o7777,
    uid: number(block, 108, 8),
    gid: number(block, 116, 8),
    sizeBytes: number(block, 124, 12),
    mtimeSeconds: number(block, 136, 12),
    typeFlag: String.fromCharCode(block[156] ?? 0),
    linkName: text(block, 157, 100),
  };
}

function checksumFits(block: Buffer): boolean {
  const stated = Number.parseInt(text(block, 148, 8).trim(), 8);
  return stated === checksum(block);
}

export function checksum(block: Buffer): number {
  let sum = 8 * 0x20;
  for (let i = 0; i < blockBytes; i++) if (i < 148 || i >= 156) sum += block[i] ?? 0;
  return sum;
}

function text(block: Buffer, start: number, length: number): string {
  const field = block.toString("latin1", start, start + length);
  const end = field.indexOf("\0");
  return end < 0 ? field : field.slice(0, end);
}

function number(block: Buffer, start: number, length: number): number {
  const first = block[start] ?? 0;
  if ((first & 0x80) === 0) {
    const digits = text(block, start, length).trim();
    if (!/^[0-7]*$/.test(digits)) throw new TarFormatError("a number in a header is not octal");
    return digits === "" ? 0 : Number.parseInt(digits, 8);
  }
  // Base-256, two's complement; a leading 0xff means negative (only times before 1970 are).
  let value = first === 0xff ? -1n : BigInt(first & 0x7f);
  for (let i = 1; i < length; i++) value = value * 256n + BigInt(block[start + i] ?? 0);
  const asNumber = Number(value);
  if (!Number.isSafeInteger(asNumber)) throw new TarFormatError("a number in a header is too large");
  return asNumber;
}
