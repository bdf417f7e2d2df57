import { flagsOf, flagsWith, type Row, steps } from "./table.ts";

/** For `source <(stacyvm completion bash)`. Bash 3 takes it as well. */
export const bashScript = (rows: readonly Row[]): string => {
  const withFile = flagsWith(rows, "file").join("|");
  const withValue = flagsWith(rows, "other").join("|");
  return `# bash completion of stacyvm
_stacyvm() {
  local at=1 command=stacyvm current="\${COMP_WORDS[COMP_CWORD]}" words=
  COMPREPLY=()
  while (( at < COMP_CWORD )); do
    case "$command/\${COMP_WORDS[at]}" in
      */--) return ;;
      */${flagsWith(rows, "file").concat(flagsWith(rows, "other")).join("|*/")}) (( at++ )) ;;
${steps(rows)
  .map(([from, word, to]) => `      '${from}/${word}') command='${to}' ;;`)
  .join("\n")}
    esac
    (( at++ ))
  done
  case "\${COMP_WORDS[COMP_CWORD-1]}" in
    ${withFile}) COMPREPLY=( $(compgen -f -- "$current") ); return ;;
    ${withValue}) return ;;
  esac
  case "$command" in
${rows
  .map((row) => {
    const words = [...row.words, ...flagsOf(row)].map(({ word }) => word);
    return `    '${row.path}') words='${words.join(" ")}' ;;`;
  })
  .join("\n")}
  esac
  COMPREPLY=( $(compgen -W "$words" -- "$current") )
}
complete -o default -F _stacyvm stacyvm
`;
};
