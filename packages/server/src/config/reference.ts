import { fileKey, keys } from "./schema.ts";

const cell = (text: string): string => (text === "" ? "" : `\`${text}\``);

/** The page docs/generated/config.md. */
export const configReference = (): string => {
  const lines = [
    "# Configuration",
    "",
    "Written by `npm run generate`; do not edit.",
    "",
    "Values come from `./stacyvm.yaml`, else `~/.stacyvm/config.yaml` (or only from the file given by `--config`), and",
    "above it from the environment. Durations are written like `30s` or `1h30m`, sizes like `512m`. In the environment a",
    "list is comma-separated and a map is JSON or `name=value,name=value`; an empty variable sets nothing. A key whose",
    "value may be kept in a file has a second key with `_file` beside it.",
  ];
  let section = "";
  for (const key of keys) {
    const { path, env, setting } = key;
    const own = path.split(".")[0] ?? "";
    if (own !== section) {
      section = own;
      lines.push("", `## ${own}`, "", "| key | type | default | variable | meaning |", "|---|---|---|---|---|");
    }
    lines.push(`| \`${path}\` | ${setting.type} | ${cell(setting.shown)} | \`${env}\` | ${setting.description} |`);
    if (setting.fromFile) {
      const other = fileKey(key);
      lines.push(`| \`${other.path}\` | path | | \`${other.env}\` | A file that holds \`${path}\`. |`);
    }
  }
  return `${lines.join("\n")}\n`;
};
