import { imageBounds } from "../bounds.ts";
import { type ByteReader, byteReader } from "./bytes.ts";
import { blockBytes, decodeHeader, type RawHeader, TarFormatError, type TarHeader, type TarType } from "./header.ts";

export interface TarEntry {
  readonly header: TarHeader;
  /** File content; what is left unread is skipped when the next entry is asked for. */
  readonly body: AsyncGenerator<Buffer, void, void>;
}

const types: Readonly<Record<string, TarType>> = {
  "0": "file",
  "\0": "file",
  "7": "file",
  "1": "hardlink",
  "2": "symlink",
  "3": "char",
  "4": "block",
  "5": "directory",
  "6": "fifo",
};

/**
 * The entries of a tar archive in order, extended headers applied. Everything is bounded by `imageBounds`.
 * Throws TarFormatError or TruncatedError; sparse members are refused, so that a small archive can't become a huge file.
 */
export async function* readTar(source: AsyncIterable<Buffer>): AsyncGenerator<TarEntry, void, void> {
  const reader = byteReader(source);
  try {
    yield* entriesOf(reader);
  } finally {
    await reader.close();
  }
}

async function* entriesOf(reader: ByteReader): AsyncGenerator<TarEntry, void, void> {
  let records: Record<string, string> = {};
  for (;;) {
    const block = await reader.read(blockBytes);
    const raw = block === undefined ? undefined : decodeHeader(block);
    if (raw === undefined) return await reader.drain();
    if (raw.sizeBytes < 0) throw new TarFormatError("an entry's size is negative");

    if ("xgLK".includes(raw.typeFlag)) {
      if (raw.sizeBytes > imageBounds.extendedHeaderBytes) throw new TarFormatError("an extended header is too large");
      const blocks = await reader.read(Math.ceil(raw.sizeBytes / blockBytes) * blockBytes);
      if (blocks === undefined) throw new TarFormatError("an extended header is missing");
      const content = blocks.subarray(0, raw.sizeBytes);
      if (raw.typeFlag === "x") records = { ...records, ...parseRecords(content) };
      // A global header ("g") carries comments in practice and changes nothing here.
      if (raw.typeFlag === "L") records = { ...records, path: untilNul(content) };
      if (raw.typeFlag === "K") records = { ...records, linkpath: untilNul(content) };
      continue;
    }

    const header = applyRecords(raw, records);
    if (header.sizeBytes < 0) throw new TarFormatError("an entry's size is negative");
    records = {};
    const size = header.sizeBytes;
    const filePadding = (blockBytes - (size % blockBytes)) % blockBytes;
    const body = reader.stream(size);
    yield { header, body };
    for await (const _ of body);
    if (filePadding > 0 && (await reader.read(filePadding)) === undefined)
      throw new TarFormatError("padding is missing");
  }
}

function applyRecords(raw: RawHeader, records: Readonly<Record<string, string>>): TarHeader {
  const type = types[raw.typeFlag];
  const sparse = raw.typeFlag === "S" || Object.keys(records).some((key) => key.startsWith("GNU.sparse."));
  if (sparse) throw new TarFormatError("sparse entries are not accepted; make the archive without --sparse");
  if (type === undefined) throw new TarFormatError(`entry type ${JSON.stringify(raw.typeFlag)} is unknown`);
  const name = records.path ?? raw.name;
  const isOldDirectory = type === "file" && name.endsWith("/");
  const xattrs: Record<string, string> = {};
  for (const [key, value] of Object.entries(records)) {
    if (key.startsWith("SCHILY.xattr.")) xattrs[key.slice("SCHILY.xattr.".length)] = value;
  }
  return {
    name,
    type: isOldDirectory ? "directory" : type,
    linkName: records.linkpath ?? raw.linkName,
    mode: raw.mode,
    uid: integer(records.uid, raw.uid),
    gid: integer(records.gid, raw.gid),
    // Some writers state the size of a link's target; only files have content.
    sizeBytes: type === "file" && !isOldDirectory ? integer(records.size, raw.sizeBytes) : 0,
    mtimeSeconds: integer(records.mtime?.replace(/\..*$/, ""), raw.mtimeSeconds),
    xattrs,
  };
}

function integer(text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!/^-?\d{1,16}$/.test(text) || !Number.isSafeInteger(value)) throw new TarFormatError("a number is not decimal");
  return value;
}

function untilNul(content: Buffer): string {
  const text = content.toString("latin1");
  const end = text.indexOf("\0");
  return end < 0 ? text : text.slice(0, end);
}

/** "<length> <key>=<value>\n", repeated; the length counts itself. */
export function parseRecords(content: Buffer): Record<string, string> {
  const records: Record<string, string> = Object.create(null);
  let at = 0;
  while (at < content.length) {
    const space = content.indexOf(0x20, at);
    const lengthText = space < 0 ? "" : content.toString("latin1", at, space);
    const length = Number(lengthText);
    const end = at + length;
    if (!/^[1-9]\d{0,7}$/.test(lengthText) || end > content.length || content[end - 1] !== 0x0a || end <= space) {
      throw new TarFormatError("an extended header is malformed");
    }
    const record = content.toString("latin1", space + 1, end - 1);
    const equals = record.indexOf("=");
    if (equals < 1) throw new TarFormatError("an extended header is malformed");
    records[record.slice(0, equals)] = record.slice(equals + 1);
    at = end;
  }
  return records;
}
