import { type Head, malformed, parseFields } from "./http-head.ts";

/** Longest trailers behind an answer's last chunk, bytes. */
const trailerBytesMax = 4096;
/** Most digits of a chunk's size. */
const sizeDigitsMax = 8;
const lineFeed = 10;

/** Where an answer's body ends, and what of its bytes is content. */
export interface Framing {
  /** The content among these bytes, in their own memory, which it overwrites. Throws guest_protocol. */
  readonly content: (bytes: Buffer) => Buffer;
  readonly ended: boolean;
  /** What the head announced as following the content, by lower-case name; there once `ended`. */
  readonly trailers: ReadonlyMap<string, string>;
}

/** How the body behind a head is framed. Throws guest_protocol when it says two things, or none. */
export function framingOf({ status, headers }: Head, method: string): Framing {
  const coding = headers.get("transfer-encoding");
  const length = headers.get("content-length");
  if (method === "HEAD" || status === 204 || status === 304) return counted(0);
  if (coding === "chunked" && length === undefined) return chunked(headers.has("trailer"));
  if (coding === undefined && length !== undefined && /^\d{1,15}$/.test(length)) return counted(Number(length));
  throw malformed();
}

function counted(length: number): Framing {
  let left = length;
  return {
    content: (bytes) => {
      if (bytes.length > left) throw malformed();
      left -= bytes.length;
      return bytes;
    },
    get ended() {
      return left === 0;
    },
    trailers: new Map(),
  };
}

/** Chunks without extensions: agents send none. Trailers only where they were announced. */
function chunked(announced: boolean): Framing {
  const trailers = new Map<string, string>();
  let trailerBytes = 0;
  let left = 0;
  let line = "";
  let place: "size" | "content" | "behind" | "last" | "ended" = "size";

  /** One byte of what stands between contents. */
  const step = (byte: number): void => {
    line += String.fromCharCode(byte);
    const trailing = place === "last" && announced && !"\r\n".startsWith(line);
    if (trailing && ++trailerBytes > trailerBytesMax) throw malformed();
    if (place === "ended" || (!trailing && line.length > sizeDigitsMax + 2)) throw malformed();
    if (place !== "size" && !trailing && !"\r\n".startsWith(line)) throw malformed();
    if (byte !== lineFeed) return;
    if (place === "size") {
      if (!/^[0-9a-fA-F]+\r\n$/.test(line)) throw malformed();
      left = Number.parseInt(line, 16);
      place = left === 0 ? "last" : "content";
    } else if (trailing) {
      if (!line.endsWith("\r\n")) throw malformed();
      for (const [name, value] of parseFields([line.slice(0, -2)])) trailers.set(name, value);
    } else {
      place = place === "last" ? "ended" : "size";
    }
    line = "";
  };

  return {
    content: (bytes) => {
      let [start, to] = [0, 0];
      for (let at = 0; at < bytes.length; ) {
        if (place !== "content") {
          step(bytes[at] ?? 0);
          at += 1;
          continue;
        }
        const count = Math.min(left, bytes.length - at);
        if (start === to) start = to = at;
        else bytes.copyWithin(to, at, at + count);
        to += count;
        at += count;
        left -= count;
        if (left === 0) place = "behind";
      }
      return bytes.subarray(start, to);
    },
    get ended() {
      return place === "ended";
    },
    trailers,
  };
}
