/** One entry as it goes into an archive, honest or not. */
export interface TarEntry {
  /** At most 100 bytes; `Buffer` for what is no UTF-8. */
  readonly name: string | Buffer;
  /** `0` a file, `1` a hard link, `2` a symlink, `5` a directory … */
  readonly type?: string;
  readonly content?: Uint8Array | string;
  readonly linkName?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  /** What the header says instead of the content's size. */
  readonly claimedSize?: number;
}

const blockSize = 512;
export const endOfArchive = Buffer.alloc(2 * blockSize);

const padded = (content: Uint8Array): Buffer =>
  Buffer.concat([content, Buffer.alloc((blockSize - (content.length % blockSize)) % blockSize)]);

const octal = (value: number, width: number): string => `${value.toString(8).padStart(width - 1, "0")}\0`;

/** A size in octal, or beyond that in binary as GNU writes it. */
const sizeField = (size: number): Buffer => {
  if (size < 8 ** 11) return Buffer.from(octal(size, 12));
  const field = Buffer.alloc(12);
  field.writeBigUInt64BE(BigInt(size), 4);
  field[0] = 0x80;
  return field;
};

/** Header and content of one entry, with the checks of no writer. */
export const tarEntry = (entry: TarEntry): Buffer => {
  const { type = "0", linkName = "", mode = 0o644, uid = 0, gid = 0, mtime = 1_000_000_000 } = entry;
  const content = Buffer.from(entry.content ?? "");
  const header = Buffer.alloc(blockSize);
  Buffer.from(entry.name).copy(header, 0, 0, 100);
  header.write(octal(mode, 8), 100);
  header.write(octal(uid, 8), 108);
  header.write(octal(gid, 8), 116);
  sizeField(entry.claimedSize ?? content.length).copy(header, 124);
  header.write(octal(mtime, 12), 136);
  header.write("        ", 148);
  header.write(type, 156);
  header.write(linkName, 157, 100);
  header.write("ustar\x0000", 257, "latin1");
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return Buffer.concat([header, padded(content)]);
};

export const tarOf = (...entries: readonly (TarEntry | Buffer)[]): Buffer =>
  Buffer.concat([...entries.map((entry) => (Buffer.isBuffer(entry) ? entry : tarEntry(entry))), endOfArchive]);

/** The entry before one whose name is longer than a header holds, as GNU tar writes it. */
export const gnuLongName = (name: string): Buffer =>
  tarEntry({ name: "././@LongLink", type: "L", content: `${name}\0` });

/** The entry before one whose fields are given by name. */
export const paxHeader = (fields: Readonly<Record<string, string>>): Buffer => {
  const content = Object.entries(fields).map(([key, value]) => {
    const rest = ` ${key}=${value}\n`;
    let length = Buffer.byteLength(rest) + 1;
    while (Buffer.byteLength(`${length}${rest}`) !== length) length = Buffer.byteLength(`${length}${rest}`);
    return `${length}${rest}`;
  });
  return tarEntry({ name: "PaxHeaders/x", type: "x", content: content.join("") });
};
