import { isQuery } from "./queries.ts";
import { createSequenceReader, type Sequence } from "./sequences.ts";

/** Ends whatever sequence a terminal is in the middle of. */
const cancel = "\x18";

/** Modes that programs turn on and that hinder whoever has the terminal next. */
const plainModes = [
  "\x1b[?1l\x1b>", // cursor and number keys
  "\x1b[?7h\x1b[4l", // wraps, doesn't insert
  "\x1b[?25h\x1b[?2026l", // visible cursor, immediate drawing
  "\x1b[?9;1000;1001;1002;1003;1004;1005;1006;1015;1016l", // mouse and focus
  "\x1b[?2004l\x1b[>4m\x1b[<99u", // pastes and keys as they are
  "\x1b[0m\x1b(B\x0f", // rendition and characters
].join("");
const normalScreen = "\x1b[?1049l";
const wholeScreen = "\x1b[r";
const cleared = "\x1b[H\x1b[2J";

/** What the user's terminal is given of a process's output, and what has to be given to it in between. */
export interface Screen {
  /** The bytes to write. Of a replay, all but the queries: their answers would be typed into the program. */
  shown(data: Uint8Array, replayed: boolean): Uint8Array;
  /** The program has the whole screen, as an editor does. */
  readonly isAlternate: () => boolean;
  /** Leaves a sequence that is cut in the middle, so that other text can be written; its beginning is written again. */
  interrupt(): string;
  /** After a gap the terminal may be in any mode: a clear, plain one. */
  reset(): string;
  /** Gives the terminal back without a trace of the program's modes. */
  leave(): string;
}

export function createScreen(): Screen {
  const reader = createSequenceReader();
  let alternate = false;
  /** How much the terminal has of the sequence that the reader holds. */
  let had = 0;
  /** The terminal is in the middle of a sequence that was cut off. */
  let open = false;

  const note = ({ kind, bytes }: Sequence): void => {
    if (kind !== "csi" && kind !== "escape") return;
    const [, modes, end] = /\[\?([\d;]+)([hl])$/.exec(Buffer.from(bytes).toString("latin1")) ?? [];
    if (modes?.split(";").some((mode) => ["47", "1047", "1049"].includes(mode))) alternate = end === "h";
    if (bytes.at(-1) === resetsAll && bytes.length === 2) alternate = false;
  };

  const replay = (sequences: readonly Sequence[]): Uint8Array => {
    const pieces = sequences.map((sequence) => {
      const before = had;
      const inside = open || before > 0;
      had = 0;
      open = false;
      if (isQuery(sequence)) return Buffer.from((inside ? cancel : "") + controlsIn(sequence));
      open = sequence.open;
      return sequence.bytes.subarray(before);
    });
    return Buffer.concat(pieces);
  };

  return {
    shown(data, replayed) {
      const missing = replayed ? new Uint8Array() : reader.held().subarray(had);
      const sequences = reader.read(data);
      for (const sequence of sequences) note(sequence);
      if (replayed) return replay(sequences);
      open = sequences.at(-1)?.open ?? open;
      had = reader.held().length;
      return missing.length === 0 ? data : Buffer.concat([missing, data]);
    },
    isAlternate: () => alternate,
    interrupt() {
      const inside = open || had > 0;
      open = false;
      had = 0;
      return inside ? cancel : "";
    },
    reset() {
      reader.reset();
      had = 0;
      alternate = false;
      return cancel + wholeScreen + normalScreen + plainModes + cleared;
    },
    leave() {
      const inside = had > 0 ? cancel : "";
      // Saves and restores the cursor around what moves it.
      const back = alternate ? wholeScreen + normalScreen : `\x1b7${wholeScreen}\x1b8`;
      return inside + back + plainModes;
    },
  };
}

const resetsAll = "c".charCodeAt(0);

/** Controls inside a CSI sequence are carried out whatever becomes of it. */
const controlsIn = ({ kind, bytes }: Sequence): string =>
  kind !== "csi"
    ? ""
    : [...bytes.subarray(1)]
        .filter((byte) => byte < 0x20 && byte !== 0x05)
        .map((byte) => String.fromCharCode(byte))
        .join("");
