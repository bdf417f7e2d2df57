import type { Attack, AttackClass } from "./attack.ts";
import { excuse, omission } from "./expectations.ts";
import type { Result } from "./run.ts";
import { attacks, classTitles, scenarios } from "./table.ts";
import { type Target, targets } from "./targets.ts";

const find = (results: readonly Result[], id: string, target: string): Result | undefined =>
  results.find((one) => one.id === id && one.target === target);

const word = ({ verdict, expected }: Result): string =>
  verdict === "through" && expected ? "not promised" : verdict === "through" ? "THROUGH" : verdict;

/** For a terminal: a line for each result as it comes. */
export const lineOf = (result: Result): string => {
  const mark = result.expected ? "ok  " : "RED ";
  const took = result.tookMs >= 1000 ? `  ${(result.tookMs / 1000).toFixed(1)} s` : "";
  return `  ${mark} ${word(result).padEnd(12)} ${result.id.padEnd(34)} ${result.said}${took}`;
};

const marks: Readonly<Record<string, string>> = { "not promised": "*not promised*", "not tried": "—" };
const cellOf = (attack: Attack, target: Target, results: readonly Result[]): string => {
  const result = find(results, attack.id, target.id);
  const plain = result === undefined ? "?" : word(result);
  const reason = result?.reason;
  const numbers = reason === undefined ? "" : ` [${reasonsOf().indexOf(reason) + 1}]`;
  return `${marks[plain] ?? plain}${numbers}`;
};

const escapeCell = (text: string): string => text.replaceAll("|", "\\|");

/** Every reason of the expectations, in the order of the table. */
const reasonsOf = (): readonly string[] => [
  ...new Set(
    attacks.flatMap(({ id }) => targets.flatMap(({ id: target }) => omission(target, id) ?? excuse(target, id) ?? [])),
  ),
];

const classTable = (kind: AttackClass, results: readonly Result[]): string => {
  const rows = attacks
    .filter((attack) => attack.kind === kind)
    .map((attack) => {
      const cells = targets.map((target) => cellOf(attack, target, results));
      return `| ${[`\`${attack.id}\``, attack.title, escapeCell(attack.tried), attack.control, ...cells].map(escapeCellOnce).join(" | ")} |`;
    });
  const head = ["id", "attack", "how it is tried", "what stops it", ...targets.map(({ id }) => id)];
  return [
    `## ${kind}. ${classTitles[kind]}`,
    "",
    `| ${head.join(" | ")} |`,
    `|${"---|".repeat(head.length)}`,
    ...rows,
  ].join("\n");
};
const escapeCellOnce = (text: string): string => text;

/** docs/security/attacks.md of a whole run. */
export const markdownOf = (results: readonly Result[]): string => {
  const reasons = reasonsOf().map((reason, at) => `${at + 1}. ${reason}`);
  const escapes = Object.entries(scenarios).map(([number, what]) => {
    const rows = attacks.filter((attack) => attack.scenarios?.includes(Number(number))).map(({ id }) => `\`${id}\``);
    return `| ${number} | ${what} | ${rows.join(", ")} |`;
  });
  return `# Attacks

What a hostile sandbox tries against the host, its neighbours and the control plane, and what came of it. Written by \`npm run security -- --write\` from what
that run saw; nobody edits it. \`npm run security\` tries everything again, \`-- --only ID\` one row, \`-- --target ID\` one column, \`-- --break CONTROL\`
takes one control away and must find exactly its rows red. A row is *stopped* where neither the attack's own answer, nor the canary files and
secrets of the host and of the neighbour, nor the state of the host says that it got anything.

Columns: ${targets.map(({ id, title }) => `\`${id}\` is ${title}`).join("; ")}.

${(Object.keys(classTitles) as AttackClass[]).map((kind) => classTable(kind, results)).join("\n\n")}

## Why a cell is not promised, or not tried

${reasons.join("\n")}

## The eighteen published escapes

Each of SandboxEscapeBench's scenarios (arXiv 2603.02277) begins with something that is not there; the rows that look for it:

| | begins with | rows |
|---|---|---|
${escapes.join("\n")}
`;
};
