import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A row of a table of promises or threats: the cells, and the tests it names as `file` "name". */
export interface QuotedRow {
  readonly text: string;
  readonly status: string;
  readonly tests: readonly { readonly file: string; readonly name: string }[];
}

/** Rows that have one of the statuses as a whole cell. */
export function quotedRows(markdown: string, statuses: readonly string[]): readonly QuotedRow[] {
  return markdown.split("\n").flatMap((text) => {
    const cells = text.split("|").map((cell) => cell.trim());
    const status = cells.find((cell) => statuses.includes(cell));
    if (!text.startsWith("|") || status === undefined) return [];
    // One file, and after it the names of several of its tests.
    const tests = [...text.matchAll(/`([^`]+)`((?:,? "[^"]+")+)/g)].flatMap(([, file = "", names = ""]) =>
      [...names.matchAll(/"([^"]+)"/g)].map(([, name = ""]) => ({ file, name })),
    );
    return [{ text, status, tests }];
  });
}

/** Whether the file declares a test of that title, or a Go test of that name. */
export function testExists(root: string, { file, name }: { readonly file: string; readonly name: string }): boolean {
  const path = join(root, file);
  if (!existsSync(path)) return false;
  const text = readFileSync(path, "utf8");
  if (file.endsWith(".go")) return text.includes(`func ${name}(`);
  return ['"', "'", "`"].some((quote) => text.includes(`${quote}${name}${quote}`));
}
