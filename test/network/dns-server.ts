import { createSocket } from "node:dgram";
import { createServer, type Socket } from "node:net";
import { decodeQuery, encodeReply, type Query, type Reply, type ResourceRecord } from "./dns-message.ts";

/** What is said of a name. An empty one is a name without records. */
export interface Answer {
  readonly a?: readonly string[];
  readonly aaaa?: readonly string[];
  readonly txt?: string;
  /** Followed in the same answer, as a recursive resolver does. */
  readonly cname?: string;
  /** Seconds; 60 where absent. */
  readonly ttl?: number;
  readonly fails?: "NXDOMAIN" | "SERVFAIL" | "REFUSED" | "silence";
  /** Records of other names, or of this one under another's name, put in beside. */
  readonly beside?: readonly ResourceRecord[];
  /** Sent first, in a datagram of its own: this address, with another id or for another name than was asked. */
  readonly forged?: { readonly as: "id" | "name"; readonly a: string };
}

/** By name in lower case, without the last dot; `*.x` is every name below x. Of several answers each is given once, and the last from then on. */
export type Zone = Readonly<Record<string, Answer | readonly Answer[]>>;

export interface DnsQuery {
  readonly name: string;
  readonly type: string;
  readonly transport: "udp" | "tcp";
  /** The server that was asked. */
  readonly at: string;
  readonly from: string;
}

/** Answers on port 53 of each address, by UDP and TCP. Names in no zone don't exist. */
export const startDns = async (addresses: readonly string[], onQuery: (query: DnsQuery) => void) => {
  const zone = new Map<string, readonly Answer[]>();
  const asked = new Map<string, number>();

  const next = (name: string, type: string): Answer | undefined => {
    const lower = name.toLowerCase();
    const above = lower.split(".").map((_, at, labels) => `*.${labels.slice(at + 1).join(".")}`);
    const answers = [lower, ...above].map((key) => zone.get(key)).find((found) => found !== undefined);
    const times = asked.get(`${lower} ${type}`) ?? 0;
    asked.set(`${lower} ${type}`, times + 1);
    return answers?.[Math.min(times, answers.length - 1)];
  };

  const recordsOf = (name: string, type: string, answer: Answer): readonly ResourceRecord[] => {
    const { ttl = 60, beside = [] } = answer;
    const record = (kind: ResourceRecord["type"]) => (data: string) => ({ name, type: kind, ttl, data });
    if (type === "A") return [...(answer.a ?? []).map(record("A")), ...beside];
    if (type === "AAAA") return [...(answer.aaaa ?? []).map(record("AAAA")), ...beside];
    if (type === "TXT" && answer.txt !== undefined) return [record("TXT")(answer.txt), ...beside];
    return beside;
  };

  const replyTo = (name: string, type: string): Reply | undefined => {
    const answers: ResourceRecord[] = [];
    let current = name;
    for (let links = 0; links < 16; links++) {
      const answer = next(current, type);
      if (answer === undefined) return { code: "NXDOMAIN", answers };
      if (answer.fails === "silence") return undefined;
      if (answer.fails !== undefined) return { code: answer.fails, answers };
      answers.push(...recordsOf(current, type, answer));
      if (answer.cname === undefined) return { code: "NOERROR", answers };
      answers.push({ name: current, type: "CNAME", ttl: answer.ttl ?? 60, data: answer.cname });
      current = answer.cname;
    }
    return { code: "NOERROR", answers };
  };

  const forgery = (query: Query): Buffer | undefined => {
    const found = zone.get(query.name.toLowerCase())?.[0]?.forged;
    if (found === undefined || query.type !== "A") return undefined;
    const false_ = found.as === "id" ? { ...query, id: query.id ^ 1 } : { ...query, name: `not-${query.name}` };
    const answers = [{ name: false_.name, type: "A", ttl: 60, data: found.a } as const];
    return encodeReply(false_, { code: "NOERROR", answers });
  };

  for (const address of addresses) {
    const udp = createSocket({ type: address.includes(":") ? "udp6" : "udp4" });
    udp.on("message", (message, from) => {
      const query = decodeQuery(message);
      onQuery({ name: query.name, type: query.type, transport: "udp", at: address, from: from.address });
      const forged = forgery(query);
      if (forged !== undefined) udp.send(forged, from.port, from.address);
      const reply = replyTo(query.name, query.type);
      if (reply !== undefined) udp.send(encodeReply(query, reply), from.port, from.address);
    });
    await new Promise<void>((resolve, reject) => udp.once("error", reject).bind(53, address, resolve));
    const tcp = createServer((socket) =>
      readFrames(socket, (message) => {
        const query = decodeQuery(message);
        onQuery({
          name: query.name,
          type: query.type,
          transport: "tcp",
          at: address,
          from: socket.remoteAddress ?? "",
        });
        const reply = replyTo(query.name, query.type);
        if (reply === undefined) return;
        const encoded = encodeReply(query, reply);
        const length = Buffer.alloc(2);
        length.writeUInt16BE(encoded.length);
        socket.write(Buffer.concat([length, encoded]));
      }),
    );
    await new Promise<void>((resolve, reject) => tcp.once("error", reject).listen(53, address, resolve));
  }
  return {
    /** Adds to what is said, or says it anew. */
    say(entries: Zone): void {
      for (const [name, answer] of Object.entries(entries)) {
        zone.set(name, [answer].flat());
        for (const key of asked.keys()) if (key.startsWith(`${name} `)) asked.delete(key);
      }
    },
  };
};

const readFrames = (socket: Socket, onMessage: (message: Buffer) => void): void => {
  let buffered = Buffer.alloc(0);
  socket.on("error", () => {});
  socket.on("data", (chunk) => {
    buffered = Buffer.concat([buffered, chunk]);
    while (buffered.length >= 2 && buffered.length >= 2 + buffered.readUInt16BE(0)) {
      const end = 2 + buffered.readUInt16BE(0);
      onMessage(buffered.subarray(2, end));
      buffered = buffered.subarray(end);
    }
  });
};
