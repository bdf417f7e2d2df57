import { type Candidate, flagsOf, flagsWith, type Row, steps } from "./table.ts";

const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
const array = (entries: readonly Candidate[]) =>
  `(${entries.map(({ word, description }) => quoted(`${word}:${description}`)).join(" ")})`;

/** For `source <(stacyvm completion zsh)`, or as the file `_stacyvm` in a folder of $fpath. */
export const zshScript = (rows: readonly Row[]): string => {
  const withFile = flagsWith(rows, "file");
  const withValue = flagsWith(rows, "other");
  return `#compdef stacyvm
_stacyvm() {
  local at=2 command=stacyvm
  local -a fixed flags
  while (( at < CURRENT )); do
    case "$command/\${words[at]}" in
      (*/--) _files; return ;;
      (*/(${[...withFile, ...withValue].join("|")})) (( at++ )) ;;
${steps(rows)
  .map(([from, word, to]) => `      ('${from}/${word}') command='${to}' ;;`)
  .join("\n")}
    esac
    (( at++ ))
  done
  case "\${words[CURRENT-1]}" in
    (${withFile.join("|")}) _files; return ;;
    (${withValue.join("|")}) return ;;
  esac
  case "$command" in
${rows.map((row) => `    ('${row.path}') fixed=${array(row.words)} flags=${array(flagsOf(row))} ;;`).join("\n")}
  esac
  if [[ \${words[CURRENT]} == -* ]]; then
    _describe -o option flags
  elif (( \${#fixed} )); then
    _describe command fixed
  else
    _files
  fi
}
compdef _stacyvm stacyvm
`;
};
