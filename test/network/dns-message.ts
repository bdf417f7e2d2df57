// Messages of RFC 1035 as far as the test Internet's servers and clients speak them.

export const recordTypes = { A: 1, CNAME: 5, PTR: 12, MX: 15, TXT: 16, AAAA: 28, SVCB: 64, HTTPS: 65 } as const;
export type RecordType = keyof typeof recordTypes;

export const responseCodes = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;
export type ResponseCode = keyof typeof responseCodes;

export interface ResourceRecord {
  readonly name: string;
  readonly type: RecordType;
  /** Seconds. */
  readonly ttl: number;
  /** An address, a name, or the text. */
  readonly data: string;
}

export interface Query {
  readonly id: number;
  readonly name: string;
  /** A name of ours, or TYPE and its number. */
  readonly type: string;
}

export interface Reply {
  readonly code: ResponseCode;
  readonly answers: readonly ResourceRecord[];
}

const classIn = 1;

export const encodeName = (name: string): Buffer => {
  const labels = name
    .split(".")
    .filter((label) => label !== "")
    .map((label) => Buffer.from(label, "latin1"));
  return Buffer.concat([...labels.flatMap((label) => [Buffer.from([label.length]), label]), Buffer.from([0])]);
};

const numbers = (...values: readonly number[]): Buffer => {
  const buffer = Buffer.alloc(values.length * 2);
  for (const [at, value] of values.entries()) buffer.writeUInt16BE(value, at * 2);
  return buffer;
};

/** An IPv6 address without a zone, in any of its spellings. */
const bytesOfIPv6 = (address: string): Buffer => {
  const text = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...parts: string[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = parts.slice(0, 4).map(Number);
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  });
  const [head = "", tail] = text.split("::");
  const groups = (part: string | undefined) => (part ?? "").split(":").filter((group) => group !== "");
  const [before, after] = [groups(head), groups(tail)];
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => "0");
  return numbers(...[...before, ...zeros, ...after].map((group) => Number.parseInt(group, 16)));
};

const dataOf = ({ type, data }: ResourceRecord): Buffer => {
  if (type === "A") return Buffer.from(data.split(".").map(Number));
  if (type === "AAAA") return bytesOfIPv6(data);
  if (type === "TXT") return Buffer.concat([Buffer.from([data.length]), Buffer.from(data, "latin1")]);
  if (type === "MX") return Buffer.concat([numbers(10), encodeName(data)]);
  if (type === "HTTPS" || type === "SVCB") return Buffer.concat([numbers(1), encodeName(data)]);
  return encodeName(data);
};

const encodeRecord = (record: ResourceRecord): Buffer => {
  const data = dataOf(record);
  const head = numbers(recordTypes[record.type], classIn, 0, record.ttl, data.length);
  return Buffer.concat([encodeName(record.name), head, data]);
};

const question = (name: string, type: string): Buffer =>
  Buffer.concat([encodeName(name), numbers(numberOf(type), classIn)]);

const numberOf = (type: string): number =>
  recordTypes[type as RecordType] ?? Number.parseInt(type.replace("TYPE", ""), 10);

const typeOf = (number: number): string =>
  Object.entries(recordTypes).find(([, value]) => value === number)?.[0] ?? `TYPE${number}`;

export const encodeQuery = ({ id, name, type }: Query): Buffer =>
  Buffer.concat([numbers(id, 0x0100, 1, 0, 0, 0), question(name, type)]);

export const encodeReply = ({ id, name, type }: Query, { code, answers }: Reply): Buffer =>
  Buffer.concat([
    numbers(id, 0x8180 | responseCodes[code], 1, answers.length, 0, 0),
    question(name, type),
    ...answers.map(encodeRecord),
  ]);

const readName = (message: Buffer, start: number): { readonly name: string; readonly end: number } => {
  const labels: string[] = [];
  let [at, end] = [start, -1];
  for (let jumps = 0; jumps < 32; ) {
    const length = message.readUInt8(at);
    if (length === 0) return { name: labels.join("."), end: end < 0 ? at + 1 : end };
    if (length >= 0xc0) {
      jumps++;
      if (end < 0) end = at + 2;
      at = message.readUInt16BE(at) & 0x3fff;
    } else {
      labels.push(message.toString("latin1", at + 1, at + 1 + length));
      at += 1 + length;
    }
  }
  throw new Error("a name that points to itself");
};

/** Throws a RangeError where the message is shorter than it says. */
export const decodeQuery = (message: Buffer): Query => {
  const { name, end } = readName(message, 12);
  return { id: message.readUInt16BE(0), name, type: typeOf(message.readUInt16BE(end)) };
};

const textOf = (message: Buffer, type: string, start: number, length: number): string => {
  const data = message.subarray(start, start + length);
  if (type === "A") return data.join(".");
  if (type === "AAAA") return (data.toString("hex").match(/.{4}/g) ?? []).join(":");
  if (type === "TXT") return data.toString("latin1", 1);
  if (type === "CNAME" || type === "PTR") return readName(message, start).name;
  return data.toString("hex");
};

/** The code, and the answers with `type` as {@link Query} has it. */
export const decodeReply = (message: Buffer) => {
  const codes = Object.entries(responseCodes);
  const code = codes.find(([, value]) => value === (message.readUInt16BE(2) & 15))?.[0] ?? "unknown";
  let at = 12;
  for (let count = message.readUInt16BE(4); count > 0; count--) at = readName(message, at).end + 4;
  const answers: { readonly name: string; readonly type: string; readonly data: string }[] = [];
  for (let count = message.readUInt16BE(6); count > 0; count--) {
    const { name, end } = readName(message, at);
    const [type, length] = [typeOf(message.readUInt16BE(end)), message.readUInt16BE(end + 8)];
    answers.push({ name, type, data: textOf(message, type, end + 10, length) });
    at = end + 10 + length;
  }
  return { code, answers };
};
