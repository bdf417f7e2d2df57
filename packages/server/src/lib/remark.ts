export interface Remark {
  readonly what: string;
  /** The command or setting that would help. */
  readonly remedy?: string;
}

/** Of a text as fingerprints write it: "what; remedy", or what alone. */
export function remarkOf(text: string): Remark {
  const at = text.indexOf("; ");
  return at === -1 ? { what: text } : { what: text.slice(0, at), remedy: text.slice(at + 2) };
}
