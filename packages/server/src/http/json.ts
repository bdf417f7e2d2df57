import { StacyError } from "@stacyvm/contract";
import { jsonDepthMax } from "./bounds.ts";

export interface DecodeOptions {
  /** Ignore what follows the first value and let the last of repeated keys win. */
  readonly lenient: boolean;
}

const refuse = (why: string): never => {
  throw new StacyError("invalid_body", "invalid request body", {
    details: { problems: [{ field: "", message: why }] },
  });
};

/** Index after the closing quote of the string that starts at `start`. */
const stringEnd = (text: string, start: number): number => {
  for (let at = text.indexOf('"', start + 1); at !== -1; at = text.indexOf('"', at + 1)) {
    let backslashes = 0;
    while (text[at - 1 - backslashes] === "\\") backslashes += 1;
    if (backslashes % 2 === 0) return at + 1;
  }
  return refuse("a string has no end");
};

const skipSpace = (text: string, start: number): number => {
  let at = start;
  while (at < text.length && " \t\r\n".includes(text.charAt(at))) at += 1;
  return at;
};

const key = (text: string, start: number, end: number): string => {
  const raw = text.slice(start + 1, end - 1);
  if (!raw.includes("\\")) return raw;
  try {
    return JSON.parse(text.slice(start, end));
  } catch {
    return refuse("a key is not a JSON string");
  }
};

/** Finds the end of a value that starts with a bracket, refusing what JSON.parse would let through. */
const containerEnd = (text: string, start: number, options: DecodeOptions): number => {
  const structure = /["{}[\]]/g;
  /** For each open container its keys so far; undefined for an array. */
  const open: (Set<string> | undefined)[] = [];
  structure.lastIndex = start;
  for (let match = structure.exec(text); match !== null; match = structure.exec(text)) {
    const [found] = match;
    if (found === '"') {
      const end = stringEnd(text, match.index);
      structure.lastIndex = end;
      const keys = open.at(-1);
      if (keys === undefined || text[skipSpace(text, end)] !== ":") continue;
      const name = key(text, match.index, end);
      if (name === "__proto__") refuse("the key __proto__ is not allowed");
      if (!options.lenient) {
        if (keys.has(name)) refuse(`the key ${JSON.stringify(name)} is repeated`);
        keys.add(name);
      }
    } else if (found === "{" || found === "[") {
      open.push(found === "{" ? new Set() : undefined);
      if (open.length > jsonDepthMax) refuse(`must not nest deeper than ${jsonDepthMax}`);
    } else {
      open.pop();
      if (open.length === 0) return match.index + 1;
    }
  }
  return refuse("the document has no end");
};

/** One JSON document of a request. Throws invalid_body; the result has no key `__proto__`. */
export const decodeJson = (text: string, options: DecodeOptions): unknown => {
  const start = skipSpace(text, 0);
  const first = text[start];
  const end =
    first === "{" || first === "["
      ? containerEnd(text, start, options)
      : first === '"'
        ? stringEnd(text, start)
        : start + (/^[-+.0-9A-Za-z]*/.exec(text.slice(start, start + 64))?.[0].length ?? 0);
  if (!options.lenient && skipSpace(text, end) !== text.length) refuse("something follows the JSON document");
  try {
    return JSON.parse(text.slice(start, end));
  } catch {
    return refuse("it is not JSON");
  }
};

const escapes: Readonly<Record<string, string>> = {
  "<": "\\u003c",
  ">": "\\u003e",
  "&": "\\u0026",
  "\u2028": "\\u2028",
  "\u2029": "\\u2029",
};

/** Compact JSON, safe inside HTML and scripts, without a newline. */
export const compactJson = (value: unknown): string => {
  const text = JSON.stringify(value);
  return /[<>&\u2028\u2029]/.test(text) ? text.replace(/[<>&\u2028\u2029]/g, (found) => escapes[found] ?? found) : text;
};

/** A JSON answer as it goes out: compact, one line. */
export const encodeJson = (value: unknown): Buffer => Buffer.from(`${compactJson(value)}\n`);
