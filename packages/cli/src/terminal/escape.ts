const newline = 0x0a;
const carriageReturn = 0x0d;
const tilde = 0x7e;
const dot = 0x2e;

/** What of the typed bytes goes on, and whether the user wants to leave. */
export interface Typed {
  readonly bytes: Uint8Array;
  readonly detach: boolean;
}

/**
 * Finds `~.` at the beginning of a line, as ssh does: it means to leave. `~~` there is one tilde; a tilde followed by
 * anything else goes on with it. Bytes may be cut anywhere.
 */
export const createEscapeReader = (): ((typed: Uint8Array) => Typed) => {
  let lineBegins = true;
  let held = false;
  return (typed) => {
    const bytes: number[] = [];
    for (const byte of typed) {
      if (held) {
        held = false;
        if (byte === dot) return { bytes: Uint8Array.from(bytes), detach: true };
        bytes.push(tilde);
        if (byte === tilde) continue;
      } else if (lineBegins && byte === tilde) {
        held = true;
        lineBegins = false;
        continue;
      }
      bytes.push(byte);
      lineBegins = byte === newline || byte === carriageReturn;
    }
    return { bytes: Uint8Array.from(bytes), detach: false };
  };
};
