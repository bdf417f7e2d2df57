import { blockBytes, checksum, type TarHeader, type TarType } from "./header.ts";

const flags: Readonly<Record<TarType, string>> = {
  file: "0",
  hardlink: "1",
  symlink: "2",
  char: "3",
  block: "4",
  directory: "5",
  fifo: "6",
};

/** The blocks before an entry's content: an extended header where ustar's fields are too small, then the header. */
export function encodeHeader(header: TarHeader): Buffer {
  const records: [string, string][] = [];
  if (header.name.length > 100 || !isAscii(header.name)) records.push(["path", header.name]);
  if (header.linkName.length > 100 || !isAscii(header.linkName)) records.push(["linkpath", header.linkName]);
  if (header.uid > 0o7777777) records.push(["uid", String(header.uid)]);
  if (header.gid > 0o7777777) records.push(["gid", String(header.gid)]);
  if (header.sizeBytes > 0o77777777777) records.push(["size", String(header.sizeBytes)]);
  if (header.mtimeSeconds < 0 || header.mtimeSeconds > 0o77777777777) {
    records.push(["mtime", String(header.mtimeSeconds)]);
  }
  for (const [name, value] of Object.entries(header.xattrs)) records.push([`SCHILY.xattr.${name}`, value]);
  const main = encodeBlock(header, flags[header.type]);
  if (records.length === 0) return main;
  const content = Buffer.from(records.map(([key, value]) => encodeRecord(key, value)).join(""), "latin1");
  const extended = encodeBlock({ ...header, name: "PaxHeaders", linkName: "", sizeBytes: content.length }, "x");
  return Buffer.concat([extended, content, padding(content.length), main]);
}

/** Zeros that fill content of this length up to a whole block. */
export const padding = (sizeBytes: number): Buffer =>
  Buffer.alloc((blockBytes - (sizeBytes % blockBytes)) % blockBytes);

/** Two blocks of zeros. */
export const endOfArchive = (): Buffer => Buffer.alloc(2 * blockBytes);

function encodeBlock(header: TarHeader, typeFlag: string): Buffer {
  const block = Buffer.alloc(blockBytes);
  block.write(header.name.slice(0, 100), 0, "latin1");
  octal(block, 100, 8, header.mode);
  octal(block, 108, 8, header.uid);
  octal(block, 116, 8, header.gid);
  octal(block, 124, 12, header.sizeBytes);
  octal(block, 136, 12, header.mtimeSeconds);
  block.write(typeFlag, 156, "latin1");
  block.write(header.linkName.slice(0, 100), 157, "latin1");
  block.write("ustar\x0000", 257, "latin1");
  block.write(`${checksum(block).toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

/** A value that doesn't fit is written as 0; its extended record says the truth. */
function octal(block: Buffer, start: number, length: number, value: number): void {
  const digits = value.toString(8);
  const fits = value >= 0 && digits.length < length;
  block.write((fits ? digits : "0").padStart(length - 1, "0"), start, "latin1");
}

function encodeRecord(key: string, value: string): string {
  const body = ` ${key}=${value}\n`;
  let length = body.length + 1;
  while (String(length).length + body.length !== length) length = String(length).length + body.length;
  return `${length}${body}`;
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7e || text.charCodeAt(i) < 0x20) return false;
  return true;
}
