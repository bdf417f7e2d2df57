import { UsageFailure } from "../failure.ts";
import { readHidden } from "../hidden-input.ts";
import type { Output } from "../output.ts";

/** Longest key, bytes. */
const keyMaxBytes = 4096;

/** The first line of a terminal, which shows nothing of it, or of a pipe. Without white space around it. */
export const readKey = async (output: Output): Promise<string> => {
  const text = await readHidden(output, { what: "key", maxBytes: keyMaxBytes });
  const key = (text.split(/[\r\n]/, 1)[0] ?? "").trim();
  if (key === "")
    throw new UsageFailure("no key was given: type it, or pipe it in, for example: stacyvm login --key < file");
  if (!/^[\x21-\x7e]+$/.test(key)) throw new UsageFailure("that is no key: it holds what no header can carry");
  return key;
};
