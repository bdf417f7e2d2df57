import { createSequenceReader, type Sequence } from "./sequences.ts";

/** CSI sequences that a terminal answers: what stands between the introducer and the end, both included. */
const csiQueries: readonly RegExp[] = [
  /^\??[\d;:]*n$/, // device and cursor status
  /^[>=]?[\d;:]*c$/, // device attributes
  /^>[\d;:]*q$/, // name and version
  /^\??[\d;:]*\$p$/, // mode
  /^\?u$/, // keyboard protocol
  /^0*(1[1345689]|2[01])(;[\d;:]*)?t$/, // window
  /^\?[\d;:]*S$/, // graphics
  /^[01]?x$/, // terminal parameters
  /^[\d;:]*\*y$/, // checksum of a rectangle
  /^\?[\d;:]*m$/, // key modifiers
  /^[\d;:]*\$[uw]$/, // terminal and presentation state
  /^&u$/, // preferred character set
  /^[\d;:]*'\|$/, // locator
  /^[\d;:]*#[RS|]$/, // colours, title stack, rendition
  /^"v$/, // displayed extent
];

/** OSC numbers whose content is words, which may have a question mark. */
const wordy = new Set(["0", "1", "2", "7", "8", "9", "133", "633", "777"]);

const isOscQuery = (content: string): boolean => {
  const [number = "", ...rest] = content.split(";");
  if (wordy.has(number.replace(/^0+(?=\d)/, ""))) return false;
  if (number === "1337") return /^(Report|RequestUpload|Capabilities)/.test(rest.join(";"));
  return rest.some((part) => part.startsWith("?") || part.endsWith("=?")) || (number === "99" && /p=\?/.test(content));
};

const isDcsQuery = (content: string): boolean => {
  if (/^[\d;:]*[$+]q/.test(content)) return true;
  if (!content.startsWith("tmux;")) return false;
  // Passed on to the terminal around tmux, which would answer.
  const inner = Buffer.from(content.slice("tmux;".length).replaceAll("\x1b\x1b", "\x1b"), "latin1");
  const reader = createSequenceReader();
  return reader.read(inner).some(isQuery);
};

/** Latin-1 text behind an introducer in whichever of its three forms, and which one it is, as the byte behind ESC. */
const parse = (bytes: Uint8Array): { readonly introducer: string; readonly content: string } => {
  const text = Buffer.from(bytes).toString("latin1");
  if (text.startsWith("\x1b")) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: controls may stand inside a sequence
    const [head = ""] = /^\x1b[\x00-\x1f\x7f-\xff]*./s.exec(text) ?? [];
    return { introducer: head.slice(-1), content: text.slice(head.length) };
  }
  const at = text.startsWith("\xc2") ? 1 : 0;
  return { introducer: String.fromCharCode(text.charCodeAt(at) - 0x40), content: text.slice(at + 1) };
};

/** Carried out, or ignored, inside a sequence. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: controls may stand inside a sequence
const beside = /[\x00-\x1f\x7f-\xff]/g;

/** What ends a string, where it has an end at all; an OSC is ended by BEL too. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they end a string
const stringEnd = /(\x1b\\|\xc2?\x9c|[\x18\x1a])$/;

/** Whether a terminal answers it. The answer would arrive at the program as if it were typed. */
export function isQuery({ kind, bytes }: Sequence): boolean {
  if (kind === "enquiry") return true;
  if (kind === "text") return false;
  const { introducer, content } = parse(bytes);
  if (kind === "escape") return introducer === "Z";
  if (kind === "csi") {
    const plain = content.replaceAll(beside, "");
    return csiQueries.some((query) => query.test(plain));
  }
  const said = content.replace(stringEnd, "");
  if (introducer === "]") return isOscQuery(said.endsWith("\x07") ? said.slice(0, -1) : said);
  if (introducer === "P") return isDcsQuery(said);
  return introducer === "_" && /^G(?:[^;]*,)?a=q(?:[,;]|$)/.test(said);
}
