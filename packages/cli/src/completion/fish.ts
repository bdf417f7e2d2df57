import { flagsWith, type OptionRow, type Row, steps } from "./table.ts";

const quoted = (text: string) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;

const flagOf = (flag: string) => (flag.startsWith("--") ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`);

const argumentOf = { none: "", file: " -r -F", other: " -x" } as const;

const optionLine = (condition: string, { flags, value, description }: OptionRow) =>
  `complete -c stacyvm -n ${condition} ${flags.map(flagOf).join(" ")}${argumentOf[value]} -d ${quoted(description)}`;

const linesOf = ({ path, words, options }: Row): readonly string[] => {
  const condition = `"__stacyvm_at '${path}'"`;
  // Where a word of these is wanted, no file is.
  const fixed = words.map(
    ({ word, description }) => `complete -c stacyvm -n ${condition} -f -a ${word} -d ${quoted(description)}`,
  );
  return [...fixed, ...options.map((option) => optionLine(condition, option))];
};

/** For `stacyvm completion fish | source`, or as `~/.config/fish/completions/stacyvm.fish`. */
export const fishScript = (rows: readonly Row[]): string => {
  const withValue = [...flagsWith(rows, "file"), ...flagsWith(rows, "other")].map((flag) => `'*/${flag}'`);
  return `# fish completion of stacyvm
function __stacyvm_at
  set -l command stacyvm
  set -l skip no
  for word in (commandline -opc)[2..]
    if test $skip = yes
      set skip no
      continue
    end
    switch "$command/$word"
      case '*/--'
        return 1
      case ${withValue.join(" ")}
        set skip yes
${steps(rows)
  .map(([from, word, to]) => `      case '${from}/${word}'\n        set command '${to}'`)
  .join("\n")}
    end
  end
  test "$command" = "$argv[1]"
end
${rows.flatMap(linesOf).join("\n")}
`;
};
