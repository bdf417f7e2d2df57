import type { Row } from "./compare.ts";
import { classDifferences, otherwise, parameterRules } from "./differences.ts";
import type { Surface } from "./surface.ts";

const cell = (name: string | undefined): string => (name === undefined ? "–" : `\`${name}\``);

/** docs/generated/sdk-methods.md. */
export const methodsTable = (rows: readonly Row[], python: Surface): string => {
  const alone = [...python.keys()].filter((owner) => classDifferences.has(owner));
  const lines = [
    "# Methods of both clients",
    "",
    "The TypeScript client and the Python client beside each other. Python's `AsyncClient`, `AsyncSandbox` and so on have the",
    "same members as the blocking classes here. Names and what is passed by name are camelCase there and snake_case here;",
    "where that isn't all, the note says why.",
    "",
    "| TypeScript | Python | |",
    "|---|---|---|",
    ...rows.map(({ typescript, python, note }) => `| ${cell(typescript)} | ${cell(python)} | ${note} |`),
    "",
    "## What every method takes",
    "",
    "| TypeScript | Python | |",
    "|---|---|---|",
    ...parameterRules.map(({ typescript, python, why }) => `| ${cell(typescript)} | ${cell(python)} | ${why} |`),
    "",
    "## Classes of Python alone",
    "",
    ...alone.map((owner) => `- \`${owner}\`: ${classDifferences.get(owner)}`),
    "",
    "## Data that Python has otherwise",
    "",
    "What comes back has the same fields in both clients, snake_case in Python, but for",
    "",
    ...[...otherwise].map(([name, how]) => `- \`${name}\`: ${how}`),
    "",
    "Neither client opens a WebSocket: terminals, their size and signals go over HTTP. `exec/ws`, `processes/{pid}/socket` and",
    "`ports/{port}/tunnel` are for the command line and for clients of your own.",
    "",
  ];
  return lines.join("\n");
};
