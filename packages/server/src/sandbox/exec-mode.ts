import { StacyError } from "@stacyvm/contract";

export type ExecMode = "shell" | "argv";

/** A word as the shell reads it back unchanged. */
const quoted = (word: string): string => `'${word.replaceAll("'", `'"'"'`)}'`;

/** Absent or blank means shell. */
export function parseExecMode(value: string | undefined): ExecMode {
  const mode = value?.trim() ?? "";
  if (mode === "" || mode === "shell") return "shell";
  if (mode === "argv") return "argv";
  throw new StacyError("invalid_input", `invalid input: unsupported exec mode ${JSON.stringify(mode)}`);
}

/**
 * What is started. In argv mode nothing is ever given to a shell; in shell mode the command is the caller's own script
 * and the arguments reach it quoted.
 */
export function execArgv(mode: ExecMode, command: string, args: readonly string[]): readonly string[] {
  if (mode === "shell") return ["sh", "-c", [command, ...args.map(quoted)].join(" ")];
  if (command.trim() === "") throw new StacyError("invalid_input", "invalid input: argv exec mode requires command");
  return [command, ...args];
}
