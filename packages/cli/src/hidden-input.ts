import { constants } from "node:os";
import { ExitWith, UsageFailure } from "./failure.ts";
import type { Output } from "./output.ts";

export interface HiddenInput {
  /** What it is, for example `key`. */
  readonly what: string;
  /** Longest, bytes. */
  readonly maxBytes: number;
}

/** What ends a line that is typed: Enter and Ctrl-D. */
const ends = ["\r", "\n", "\u0004"];

/** One line of a terminal, which shows nothing of it; of a pipe all there is, without the end of its last line. */
export const readHidden = async (output: Output, { what, maxBytes }: HiddenInput): Promise<string> => {
  const { stdin } = process;
  const hidden = stdin.isTTY === true;
  if (hidden) {
    process.stderr.write(`${what.charAt(0).toUpperCase()}${what.slice(1)}: `);
    stdin.setRawMode(true);
  }
  let text = "";
  try {
    for await (const part of stdin.setEncoding("utf8")) {
      for (const character of String(part)) {
        if (hidden && character === "\u0003") throw new ExitWith(128 + constants.signals.SIGINT);
        if (hidden && (character === "\u007f" || character === "\b")) text = [...text].slice(0, -1).join("");
        else text += character;
      }
      if (Buffer.byteLength(text) > maxBytes) throw new UsageFailure(`a ${what} has ${maxBytes} bytes at most`);
      if (hidden && ends.some((end) => text.includes(end))) break;
    }
  } finally {
    if (hidden) {
      stdin.setRawMode(false);
      output.errorLine("");
    }
    stdin.pause();
  }
  return hidden ? ends.reduce((line, end) => line.split(end, 1)[0] ?? "", text) : text.replace(/\r?\n$/, "");
};
