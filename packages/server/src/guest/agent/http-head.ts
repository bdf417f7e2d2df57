import { StacyError } from "@stacyvm/contract";

/** Longest head of an answer, bytes. */
export const headBytesMax = 16 * 1024;

export interface Head {
  readonly status: number;
  /** By lower-case name. */
  readonly headers: ReadonlyMap<string, string>;
}

/** The head of an agent's HTTP/1.1 answer, without the empty line that ends it. Throws guest_protocol. */
export function parseHead(text: string): Head {
  const [first = "", ...lines] = text.split("\r\n");
  const status = /^HTTP\/1\.1 ([2-5]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/.exec(first)?.[1];
  if (status === undefined) throw malformed();
  return { status: Number(status), headers: parseFields(lines) };
}

/** Fields by lower-case name; what stands twice is joined. Throws guest_protocol. */
export function parseFields(lines: readonly string[]): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of lines) {
    const [, name, value] = /^([!#$%&'*+.^_`|~\w-]+):[\t ]*([\t\x20-\x7e\x80-\xff]*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) throw malformed();
    const key = name.toLowerCase();
    const before = fields.get(key);
    fields.set(key, before === undefined ? value.trimEnd() : `${before}, ${value.trimEnd()}`);
  }
  return fields;
}

export function malformed(): StacyError {
  return new StacyError("guest_protocol", "the sandbox's agent sent an answer that is no HTTP");
}
