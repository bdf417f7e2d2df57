import type { Command, Option } from "commander";

/** One word that may come next. */
export interface Candidate {
  readonly word: string;
  readonly description: string;
}

/** A command as completion sees it. */
export interface Row {
  /** Names from the program's on, for example `stacyvm image`. */
  readonly path: string;
  readonly description: string;
  /** The words that lead here from the path above, aliases included. */
  readonly names: readonly string[];
  /** Commands below it, or the words that its arguments may be. */
  readonly words: readonly Candidate[];
  /** Its own and those that every command takes. */
  readonly options: readonly OptionRow[];
}

export interface OptionRow {
  /** For example `-i` and `--stdin`. */
  readonly flags: readonly string[];
  readonly description: string;
  readonly value: "none" | "file" | "other";
}

const isDefined = <T>(value: T | undefined): value is T => value !== undefined;

const optionRow = (option: Option): OptionRow => ({
  flags: [option.short, option.long].filter(isDefined),
  description: option.description,
  value: option.isBoolean() ? "none" : option.flags.includes("<file>") ? "file" : "other",
});

/** The rows of a command and of all below it, the top first. */
export function completionTable(command: Command, above?: Row): readonly Row[] {
  const help: OptionRow = { flags: ["-h", "--help"], description: "display help for command", value: "none" };
  const shared = above?.options.filter(({ flags }) => !flags.includes("-v") && !flags.includes("-h")) ?? [];
  const choices = command.registeredArguments.flatMap(({ argChoices, description }) =>
    (argChoices ?? []).map((word) => ({ word, description })),
  );
  const row: Row = {
    path: above === undefined ? command.name() : `${above.path} ${command.name()}`,
    description: command.description(),
    names: [command.name(), ...command.aliases()],
    words: [...command.commands.map((each) => ({ word: each.name(), description: each.description() })), ...choices],
    options: [...command.options.map(optionRow), help, ...(above === undefined ? [] : shared)],
  };
  return [row, ...command.commands.flatMap((each) => completionTable(each, row))];
}

/** The flags of all commands that take a value of one kind. */
export const flagsWith = (rows: readonly Row[], value: OptionRow["value"]): readonly string[] => [
  ...new Set(rows.flatMap(({ options }) => options.filter((each) => each.value === value).flatMap((o) => o.flags))),
];

/** Which word leads from which path to which: `["stacyvm", "ls", "stacyvm list"]`. */
export const steps = (rows: readonly Row[]): readonly (readonly [from: string, word: string, to: string])[] =>
  rows.slice(1).flatMap(({ path, names }) => {
    const from = path.slice(0, path.lastIndexOf(" "));
    return names.map((name) => [from, name, path] as const);
  });

/** The flags that a command takes, each as a word. */
export const flagsOf = ({ options }: Row): readonly Candidate[] =>
  options.flatMap(({ flags, description }) => flags.map((word) => ({ word, description })));
