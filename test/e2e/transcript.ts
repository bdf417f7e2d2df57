import { launcher, type Run, type RunOptions, runProgram } from "./cli-process.ts";

/** Texts that differ from run to run, and what stands for them; of the same width where a table holds them. */
export type Stand = readonly (readonly [pattern: RegExp | string, stand: string])[];

const common: Stand = [
  [/sb-[0-9a-f]{16}/g, "sb-0123456789abcdef"],
  [/"(created_at|expires_at)":"[^"]+"/g, '"$1":"2026-01-02T03:04:05Z"'],
  [/\d\d:\d\d:\d\d/g, "12:00:00"],
  [/\d{4}-\d\d-\d\d \d\d:\d\d/g, "2026-01-02 03:04"],
  [/"(duration|createdAtMs|lastUsedAtMs|sizeBytes)":("[^"]*"|\d+)/g, '"$1":"…"'],
  [/[0-9a-f]{64}/g, "0123456789ab…"],
  [/ [0-9a-f]{12} /g, " 0123456789ab "],
  [/ \d MB/g, " 2 MB"],
  [/localhost:\d+/g, "localhost:7423"],
  [/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}/g, "a-request-id"],
];

const word = (text: string) => (/^[\w./:=@-]+$/.test(text) ? text : `'${text}'`);

/** Runs the command and tells what a terminal would show: `!` stands before what went to stderr, the status last. */
export const createTranscript = (options: RunOptions, stands: Stand) => {
  const lines: string[] = [];
  const steady = (text: string) =>
    [...stands, ...common].reduce((told, [pattern, stand]) => told.replaceAll(pattern, stand), text);
  const run = async (...args: readonly string[]): Promise<Run> => {
    const ran = await runProgram(launcher, args, options);
    const shown = [steady(ran.stdout), steady(ran.stderr).replace(/^(?=.)/gm, "! ")].join("");
    const status = ran.status === 0 ? "" : `[${ran.status}]\n`;
    lines.push(`$ stacyvm ${steady(args.map(word).join(" "))}\n${shown}${status}`);
    return ran;
  };
  return { run, text: () => lines.join("\n") };
};
