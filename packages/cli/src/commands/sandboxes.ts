import type { Client, ExecOptions, Sandbox, SandboxInfo, SandboxSort } from "stacyvm";
import { ExitWith, UsageFailure } from "../failure.ts";
import { interruptible } from "../interrupt.ts";
import type { Output } from "../output.ts";
import { table } from "../table.ts";
import { pairsOf } from "./pairs.ts";

export async function killCommand(client: Client, output: Output, id: string): Promise<void> {
  const sandbox = await client.get(id);
  await sandbox.destroy();
  output.result({ id, status: "destroyed" }, `Sandbox ${id} destroyed`);
}

/** How far from now a time of day says which day's it is, milliseconds. */
const clockSpanMs = 12 * 3600_000;

/** The time of day; with its date where that is far from now. */
const clock = (timestamp: string): string => {
  const time = new Date(timestamp);
  const clockTime = time.toTimeString().slice(0, 8);
  if (Math.abs(time.getTime() - Date.now()) < clockSpanMs) return clockTime;
  const date = [time.getFullYear(), time.getMonth() + 1, time.getDate()].map((part) => String(part).padStart(2, "0"));
  return `${date.join("-")} ${clockTime}`;
};

const cells = (info: SandboxInfo) => [
  info.id,
  info.state,
  info.provider,
  info.image,
  clock(info.created_at),
  clock(info.expires_at),
];

export interface ListFlags {
  readonly label: readonly string[];
  readonly name?: string;
  readonly state?: string;
  readonly sort?: SandboxSort;
}

export async function listCommand(client: Client, output: Output, flags: ListFlags): Promise<void> {
  const { name, state, sort } = flags;
  const sandboxes = await client.list({ name, state, sort, labels: labelsOf(flags.label) });
  const isFiltered = flags.label.length > 0 || name !== undefined || state !== undefined;
  // Where nobody has a name there is no column for it.
  const named = sandboxes.some((info) => info.name !== undefined);
  const heading = ["ID", "STATE", "PROVIDER", "IMAGE", "CREATED", "EXPIRES", ...(named ? ["NAME"] : [])];
  const rows = sandboxes.map((info) => [...cells(info), ...(named ? [info.name ?? ""] : [])]);
  const text =
    sandboxes.length === 0
      ? isFiltered
        ? "No sandbox matches"
        : "No active sandboxes"
      : table([heading, ...rows], { elastic: [3, ...(named ? [6] : [])], expendable: [4, 2], width: output.width });
  output.result([...sandboxes], text);
}

/** `key=value`, or a key that may have any. */
const labelsOf = (words: readonly string[]): Record<string, string | true> =>
  Object.fromEntries(
    words.map((word) => {
      const at = word.indexOf("=");
      return at < 0 ? [word, true] : [word.slice(0, at), word.slice(at + 1)];
    }),
  );

export interface ExecFlags {
  readonly shell?: true;
  readonly user?: string;
  readonly workdir?: string;
  readonly env?: readonly string[];
  readonly timeout?: string;
  readonly stdin?: true;
}

/** Most bytes of input that are sent along. */
const stdinMaxBytes = 8 * 1024 * 1024;

export async function execCommand(
  client: Client,
  output: Output,
  id: string,
  words: readonly string[],
  flags: ExecFlags,
): Promise<void> {
  const [command, ...args] = words;
  if (command === undefined) throw new UsageFailure("no command specified; use: stacyvm exec <id> -- <command>");
  const options = {
    mode: flags.shell ? ("shell" as const) : ("argv" as const),
    args: flags.shell ? undefined : args,
    env: pairsOf("--env", flags.env ?? []),
    workdir: flags.workdir,
    user: flags.user,
    timeout: flags.timeout,
    stdin: flags.stdin ? await ownInput() : undefined,
  };
  const line = flags.shell ? words.join(" ") : command;
  const sandbox = await client.get(id);
  throw new ExitWith(await interruptible((signal) => run(sandbox, output, line, { ...options, signal })));
}

/** Runs the command, hands on what it prints, and returns its exit code. */
async function run(sandbox: Sandbox, output: Output, line: string, options: ExecOptions): Promise<number> {
  if (output.json) {
    const result = await sandbox.exec(line, { ...options, timeoutMs: 0 });
    output.result(result, "");
    return result.exit_code;
  }
  const stream = sandbox.execStream(line, options);
  for await (const { stream: name, data } of stream) await output.raw(name === "stderr" ? "stderr" : "stdout", data);
  const exit = await stream.done;
  if (exit.exit_code === null) throw new Error("the server ended the output without the command's exit code");
  // The server's last words on stderr name the timeout, without ending their line.
  if (exit.timed_out) output.errorLine("\n  Give a longer --timeout.");
  return exit.exit_code;
}

/** The whole of standard input. Only read when asked for: one that is never closed would hold the command up. */
async function ownInput(): Promise<string> {
  const chunks: Buffer[] = [];
  let held = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    held += chunk.length;
    if (held > stdinMaxBytes) {
      throw new UsageFailure(`the input is larger than ${stdinMaxBytes} bytes; upload it as a file`);
    }
    chunks.push(chunk);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Buffer.concat(chunks));
  } catch (cause) {
    throw new UsageFailure("the input is not UTF-8 text; upload it as a file", { cause });
  }
}
