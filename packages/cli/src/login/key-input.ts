import { constants } from "node:os";
import { ExitWith, UsageFailure } from "../failure.ts";
import type { Output } from "../output.ts";

/** Longest key, bytes. */
const keyMaxBytes = 4096;

/** What ends a line that is typed: Enter and Ctrl-D. */
const ends = ["\r", "\n", "\u0004"];

/** One line of a terminal, which shows nothing of it; of a pipe all there is. Without white space around it. */
export const readKey = async (output: Output): Promise<string> => {
  const { stdin } = process;
  const hidden = stdin.isTTY === true;
  if (hidden) {
    process.stderr.write("Key: ");
    stdin.setRawMode(true);
  }
  let text = "";
  try {
    for await (const part of stdin.setEncoding("utf8")) {
      for (const character of String(part)) {
        if (hidden && character === "\u0003") throw new ExitWith(128 + constants.signals.SIGINT);
        if (hidden && (character === "\u007f" || character === "\b")) text = text.slice(0, -1);
        else text += character;
      }
      if (Buffer.byteLength(text) > keyMaxBytes) throw new UsageFailure(`a key has ${keyMaxBytes} bytes at most`);
      if (hidden && ends.some((end) => text.includes(end))) break;
    }
  } finally {
    if (hidden) {
      stdin.setRawMode(false);
      output.errorLine("");
    }
    stdin.pause();
  }
  const key = ends.reduce((line, end) => line.split(end, 1)[0] ?? "", text).trim();
  if (key === "")
    throw new UsageFailure("no key was given: type it, or pipe it in, for example: stacyvm login --key < file");
  if (!/^[\x21-\x7e]+$/.test(key)) throw new UsageFailure("that is no key: it holds what no header can carry");
  return key;
};
