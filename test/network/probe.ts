import { decodeReply, encodeQuery } from "./dns-message.ts";

/** What network-probe says of one attempt. */
export interface Outcome {
  readonly connected: boolean;
  /** An errno's text, `timeout` or `EOF`. */
  readonly error?: string;
  /** Base64. */
  readonly read?: string;
  readonly status?: number;
  readonly ms: number;
}

export interface Told extends Outcome {
  /** What was read, as text. */
  readonly text: string;
}

export interface DnsTold {
  /** A response code, or why there was no answer. */
  readonly code: string;
  readonly answers: readonly { readonly name: string; readonly type: string; readonly data: string }[];
  readonly ms: number;
}

/** Runs a command where the probe is to try things. */
export type Runner = (
  argv: readonly string[],
) => Promise<{ readonly status: number | null; readonly stdout: string; readonly stderr: string }>;

export interface Probe {
  /** Sends the text, if any, and reads: to the end where something was sent, else what comes first. */
  talk(address: string, text?: string): Promise<Told>;
  /** As `talk`, and keeps its side open: some take its end for a program that has left. */
  say(address: string, text: string): Promise<Told>;
  ask(transport: "udp" | "tcp", server: string, name: string, type: string): Promise<DnsTold>;
  datagram(address: string, text: string): Promise<Told>;
  https(url: string, how?: { readonly address?: string; readonly sni?: string; readonly host?: string }): Promise<Told>;
  /** A TLS client hello in pieces of so many bytes; `status` 1 where a server answered it. */
  hello(address: string, sni: string, pieceBytes?: number): Promise<Outcome>;
  /** By the resolver that programs there use. */
  lookup(name: string): Promise<{ readonly addresses: readonly string[] | null; readonly error?: string }>;
  /** Opens so many connections at once. */
  many(address: string, count: number): Promise<{ readonly opened: number; readonly refused: Record<string, number> }>;
  raw(address: string): Promise<Readonly<Record<string, string>>>;
}

/** Through the proxy inside: by CONNECT, or, `talk` alone and without its text, by a request for `http://ADDRESS/`. */
export type Way = "connect" | "forward";

export const proxyInside = "127.0.0.1:3128";

export const probeBy = (run: Runner, probePath: string, caFile: string, way?: Way): Probe => {
  const through = way === undefined ? [] : ["via", way, proxyInside];
  const call = async <T>(...args: readonly string[]): Promise<T> => {
    const { status, stdout, stderr } = await run([probePath, ...through, ...args]);
    if (status !== 0) throw new Error(`network-probe ${args.join(" ")} ended with ${status}: ${stderr}`);
    return JSON.parse(stdout) as T;
  };
  const told = async (...args: readonly string[]): Promise<Told> => {
    const outcome = await call<Outcome>(...args);
    return { ...outcome, text: Buffer.from(outcome.read ?? "", "base64").toString("latin1") };
  };
  const hex = (text: string) => Buffer.from(text, "latin1").toString("hex");
  return {
    talk: (address, text) => told("talk", "tcp", address, text === undefined ? "-" : hex(text)),
    say: (address, text) => told("say", address, hex(text)),
    async ask(transport, server, name, type) {
      const query = encodeQuery({ id: Math.floor(Math.random() * 65_536), name, type });
      const { error, read, ms } = await call<Outcome>("ask", transport, server, query.toString("hex"));
      if (read === undefined) return { code: error ?? "nothing", answers: [], ms };
      return { ...decodeReply(Buffer.from(read, "base64")), ms };
    },
    datagram: (address, text) => told("datagram", address, hex(text)),
    https: (url, { address = "-", sni = "-", host = "-" } = {}) => told("https", url, address, sni, host, caFile),
    hello: (address, sni, pieceBytes = 1 << 16) => call("hello", address, sni, `${pieceBytes}`),
    lookup: (name) => call("lookup", name),
    many: (address, count) => call("many", address, `${count}`),
    raw: (address) => call("raw", address),
  };
};
