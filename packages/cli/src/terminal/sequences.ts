/** A piece of a program's output as a terminal reads it. */
export interface Sequence {
  /**
   * `string` is an OSC, DCS, APC, PM or SOS, whatever ended it: many terminals act on one that was cut off. A `csi`, by
   * contrast, is one that came to its end; what was cut off before is text.
   */
  readonly kind: "text" | "enquiry" | "escape" | "csi" | "string";
  /** As they came. */
  readonly bytes: Uint8Array;
  /** It has no end: a terminal that doesn't get what cut it off is still in the middle of it. */
  readonly open: boolean;
}

/** Cuts output into sequences. Bytes may be cut anywhere: what isn't whole yet is held. */
export interface SequenceReader {
  read(bytes: Uint8Array): readonly Sequence[];
  /** The beginning of a sequence whose end hasn't come. */
  held(): Uint8Array;
  reset(): void;
}

/** The longest sequence that is told as one; of a longer one, which is no query, the pieces are text. */
const sequenceBytesMax = 64 * 1024;

const enq = 0x05;
const bel = 0x07;
const can = 0x18;
const sub = 0x1a;
const esc = 0x1b;
const backslash = 0x5c;

/** What follows ESC and begins a string; `]` is the one that BEL ends too. */
const stringBegins: readonly number[] = [..."PX]^_"].map((character) => character.charCodeAt(0));
const csiBegins = "[".charCodeAt(0);
const oscBegins = "]".charCodeAt(0);
const dcsBegins = "P".charCodeAt(0);
const tmuxPrefix = Buffer.from("tmux;");

/** A C1 control is ESC and the byte 0x40 below it. In UTF-8 it is 0xc2 and that byte, else that byte alone. */
const isC1 = (byte: number): boolean => byte >= 0x80 && byte <= 0x9f;
const c1Lead = 0xc2;
const stringEnd = 0x9c;

/** Ends an escape or CSI sequence before its end. */
const isCutting = (byte: number): boolean => byte === esc || byte === can || byte === sub || isC1(byte);

/** How many bytes follow this one in UTF-8. */
const following = (lead: number): number => {
  if (lead >= 0xc2 && lead <= 0xdf) return 1;
  if (lead >= 0xe0 && lead <= 0xef) return 2;
  return lead >= 0xf0 && lead <= 0xf4 ? 3 : 0;
};

type State = "ground" | "lead" | "escape" | "csi" | "string" | "string-escape";

export function createSequenceReader(): SequenceReader {
  let state: State = "ground";
  /** Bytes of the sequence so far; empty for text. */
  let held: number[] = [];
  /** The sequence is longer than may be held: its bytes are text up to its end. */
  let overlong = false;
  /** An escape sequence has had nothing yet but controls, which are carried out inside it. */
  let bare = false;
  /** The byte behind ESC that began the string. */
  let begun = 0;
  /** Where the string's content begins in `held`. */
  let contentAt = 0;
  /** Bytes of a UTF-8 character still to come. */
  let characterLeft = 0;
  /** The last byte of the string was 0xc2. */
  let afterLead = false;
  let out: Sequence[] = [];

  const flush = (kind: Sequence["kind"], open: boolean): void => {
    if (held.length > 0) out.push({ kind, bytes: Uint8Array.from(held), open });
    held = [];
  };
  const emit = (kind: Sequence["kind"], open = false): void => {
    flush(overlong ? "text" : kind, open);
    overlong = false;
    state = "ground";
    characterLeft = 0;
  };
  const hold = (byte: number): void => {
    held.push(byte);
    if (held.length < sequenceBytesMax) return;
    overlong = true;
    flush("text", true);
  };

  /** Behind an introducer, in whichever of its three forms. */
  const begin = (byte: number): void => {
    if (byte === csiBegins) state = "csi";
    else if (stringBegins.includes(byte)) {
      state = "string";
      begun = byte;
      contentAt = held.length;
      characterLeft = 0;
      afterLead = false;
    } else emit("escape");
  };

  /** Emits the text up to a byte that may begin something else, and returns where that is. */
  const readText = (bytes: Uint8Array, from: number): number => {
    let at = from;
    for (; at < bytes.length; at++) {
      const byte = bytes[at] ?? 0;
      if (byte >= 0x80 && byte < 0xc0 && characterLeft > 0) characterLeft -= 1;
      else if (byte === esc || byte === enq || byte === c1Lead || isC1(byte)) break;
      else characterLeft = following(byte);
    }
    if (at > from) out.push({ kind: "text", bytes: bytes.subarray(from, at), open: characterLeft > 0 });
    return at;
  };

  const inGround = (byte: number): void => {
    if (readText(Uint8Array.of(byte), 0) === 1) return;
    characterLeft = 0;
    held.push(byte);
    if (byte === enq) emit("enquiry");
    else if (byte === c1Lead) state = "lead";
    else if (byte !== esc) begin(byte - 0x40);
    else {
      state = "escape";
      bare = true;
    }
  };

  const inLead = (byte: number): void => {
    if (byte < 0x80 || byte >= 0xc0) cutOff(byte);
    else {
      held.push(byte);
      if (isC1(byte)) begin(byte - 0x40);
      else emit("text");
    }
  };

  /** What is held doesn't come to its end, and is text; the byte ends it, or is read anew. */
  const cutOff = (byte: number): void => {
    const ends = byte === can || byte === sub;
    if (ends) held.push(byte);
    emit("text", !ends);
    if (!ends) step(byte);
  };

  const inEscape = (byte: number): void => {
    if (isCutting(byte)) cutOff(byte);
    else {
      hold(byte);
      if (byte >= 0x30 && byte < 0x7f) {
        if (bare) begin(byte);
        else emit("escape");
      } else if (byte >= 0x20 && byte < 0x30) bare = false;
    }
  };

  const inCsi = (byte: number): void => {
    if (isCutting(byte)) cutOff(byte);
    else {
      hold(byte);
      if (byte >= 0x40 && byte < 0x7f) emit("csi");
    }
  };

  const inString = (byte: number): void => {
    const isEnd = afterLead ? byte === stringEnd : isStringEnd(byte);
    const continues = byte >= 0x80 && byte < 0xc0;
    afterLead = byte === c1Lead;
    if (byte === esc) state = "string-escape";
    else if (isEnd) {
      held.push(byte);
      emit("string");
    } else {
      characterLeft = continues ? Math.max(0, characterLeft - 1) : following(byte);
      hold(byte);
    }
  };

  const isStringEnd = (byte: number): boolean =>
    byte === can ||
    byte === sub ||
    (byte === bel && begun === oscBegins) ||
    (byte === stringEnd && characterLeft === 0);

  const inStringEscape = (byte: number): void => {
    if (byte === backslash) {
      held.push(esc, byte);
      emit("string");
    } else if (byte === esc && isTmux()) {
      // Its content has each ESC twice.
      hold(esc);
      hold(byte);
      state = "string";
    } else {
      emit("string", true);
      step(esc);
      step(byte);
    }
  };
  const isTmux = (): boolean =>
    begun === dcsBegins && !overlong && tmuxPrefix.every((byte, at) => held[contentAt + at] === byte);

  const steps: Readonly<Record<State, (byte: number) => void>> = {
    ground: inGround,
    lead: inLead,
    escape: inEscape,
    csi: inCsi,
    string: inString,
    "string-escape": inStringEscape,
  };
  const step = (byte: number): void => steps[state](byte);

  return {
    read(bytes) {
      out = [];
      for (let at = 0; at < bytes.length; at++) {
        if (state === "ground") at = readText(bytes, at);
        if (at < bytes.length) step(bytes[at] ?? 0);
      }
      if (overlong) flush("text", true);
      return out;
    },
    held: () => Uint8Array.from(state === "string-escape" ? [...held, esc] : held),
    reset() {
      held = [];
      emit("text");
    },
  };
}
