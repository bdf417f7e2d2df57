import type { NetworkRow } from "../network/row.ts";
import { networkRows } from "../network/rows.ts";
import { type NetworkTarget, networkTargets } from "../network/targets.ts";
import type { Attack, AttackClass } from "./attack.ts";
import { excuse, omission } from "./expectations.ts";
import type { Result } from "./run.ts";
import { attacks, classTitles, scenarios } from "./table.ts";
import { type Target, targets } from "./targets.ts";

/** A result in a word: one of `stopped`, `not promised`, `not tried`, and of two that no table may have. */
export const verdictWord = ({ verdict, expected }: Result): string => {
  if (verdict !== "through") return verdict;
  return expected ? "not promised" : "THROUGH";
};

/** For a terminal: a line for each result as it comes. */
export const lineOf = (result: Result): string => {
  const mark = result.expected ? "ok  " : "RED ";
  const took = result.tookMs >= 1000 ? `  ${(result.tookMs / 1000).toFixed(1)} s` : "";
  return `  ${mark} ${verdictWord(result).padEnd(12)} ${result.id.padEnd(34)} ${result.said}${took}`;
};

/** What this run saw, or what stood there where it didn't look. */
const cellOf = (attack: Attack, target: Target, seen: ReadonlyMap<string, string>): string => {
  const verdict = seen.get(`${target.id} ${attack.id}`) ?? "?";
  const reason =
    verdict === "not tried"
      ? omission(target.id, attack.id)
      : verdict === "not promised"
        ? excuse(target.id, attack.id)
        : undefined;
  return withReason(verdict, reason);
};

const networkCellOf = (one: NetworkRow, target: NetworkTarget, seen: ReadonlyMap<string, string>): string =>
  withReason(seen.get(`${target.id} ${one.id}`) ?? "?", one.notAt?.[target.level]);

const withReason = (verdict: string, reason: string | undefined): string =>
  reason === undefined ? verdict : `${verdict} (${reasonsOf().indexOf(reason) + 1})`;

/** Every reason of the expectations, in the order of the table. */
const reasonsOf = (): readonly string[] => [
  ...new Set(
    attacks.flatMap(({ id }) => targets.flatMap(({ id: target }) => omission(target, id) ?? excuse(target, id) ?? [])),
  ),
  ...networkRows.flatMap(({ notAt }) => Object.values(notAt ?? {})),
];

const columns = ["id", "attack", "how it is tried", "what stops it"];

const classTable = (kind: AttackClass, seen: ReadonlyMap<string, string>): string => {
  const rows = attacks
    .filter((attack) => attack.kind === kind)
    .map((attack) => {
      const cells = targets.map((target) => cellOf(attack, target, seen));
      return row([`\`${attack.id}\``, attack.title, attack.tried, attack.control, ...cells]);
    });
  const head = [...columns, ...targets.map(({ id }) => id)];
  return [
    `## ${kind}. ${classTitles[kind]}`,
    "",
    `| ${head.join(" | ")} |`,
    `|${"---|".repeat(head.length)}`,
    ...rows,
  ].join("\n");
};

const row = (cells: readonly string[]): string => `| ${cells.map((text) => text.replaceAll("|", "\\|")).join(" | ")} |`;

const networkTable = (seen: ReadonlyMap<string, string>): string => {
  const head = [...columns, ...networkTargets.map(({ id }) => id)];
  const rows = networkRows.map((one) => {
    const cells = networkTargets.map((target) => networkCellOf(one, target, seen));
    return row([`\`${one.id}\``, one.title, one.tried, one.control, ...cells]);
  });
  return [row(head), `|${"---|".repeat(head.length)}`, ...rows].join("\n");
};

/** The cells of a written table: `TARGET ID` to a word, the number of its reason left out. */
export const verdictsIn = (markdown: string): ReadonlyMap<string, string> => {
  const found = new Map<string, string>();
  let head: readonly string[] = [];
  for (const line of markdown.split("\n")) {
    const cells = line.split(/(?<!\\)\|/).map((cell) => cell.trim());
    if (cells[1] === "id") head = cells;
    const id = /^`([a-z0-9-]+)`$/.exec(cells[1] ?? "")?.[1];
    if (id === undefined) continue;
    for (let at = columns.length + 1; at < head.length - 1; at++)
      found.set(`${head[at]} ${id}`, (cells[at] ?? "").replace(/ \(\d+\)$/, ""));
  }
  return found;
};

/** docs/security/attacks.md with what a run saw; cells of which it saw nothing stay as they were written. */
export const markdownOf = (results: readonly Result[], written: string): string => {
  const seen = new Map(verdictsIn(written));
  for (const result of results) seen.set(`${result.target} ${result.id}`, verdictWord(result));
  const reasons = reasonsOf().map((reason, at) => `${at + 1}. ${reason}`);
  const escapes = Object.entries(scenarios).map(([number, what]) => {
    const rows = attacks.filter((attack) => attack.scenarios?.includes(Number(number))).map(({ id }) => `\`${id}\``);
    return `| ${number} | ${what} | ${rows.join(", ")} |`;
  });
  return `# Attacks

What a hostile sandbox tries against the host, its neighbours and the control plane, and what came of it. Nobody edits the verdicts:
\`npm run security -- --write\` puts what its run saw into these cells. \`npm run security\` tries everything again, \`-- --only ID\` one row,
\`-- --target ID\` one column, and \`-- --break CONTROL\` takes one control away and must find exactly its rows red. A row is *stopped* where neither the
attack's own answer, nor the canary files and secrets of the host and of the neighbour, nor the state of the host says that it got anything.

Columns: ${targets.map(({ id, title }) => `\`${id}\` is ${title}`).join("; ")}.

${(Object.keys(classTitles) as AttackClass[]).map((kind) => classTable(kind, seen)).join("\n\n")}

## Outbound network

Each row on an Internet of its own in network namespaces, where every address there is answers and records: a row is *stopped* where nothing but what
the row allows has left the host, and the far ends got nothing that they must not get. Columns: ${networkTargets
    .map(({ id, title }) => `\`${id}\` is ${title}`)
    .join("; ")}.

${networkTable(seen)}

## Why a cell is not promised, or not tried

${reasons.join("\n")}

## The eighteen published escapes

Each of SandboxEscapeBench's scenarios (arXiv 2603.02277) begins with something that is not there; the rows that look for it:

| | begins with | rows |
|---|---|---|
${escapes.join("\n")}
`;
};
