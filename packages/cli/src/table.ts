/** Fewer characters than this tell nothing of a name. */
const leastElastic = 12;

export interface TableLayout {
  /** The columns that give way in a narrow terminal, the first of them first. */
  readonly elastic: readonly number[];
  /** The columns that a terminal too narrow for all is spared, the first of them first. */
  readonly expendable?: readonly number[];
  /** Where a cell is cut: a reference tells by both its ends, a command by its beginning. `middle` where absent. */
  readonly cut?: "middle" | "end";
  /** Characters of a line; undefined for no limit. */
  readonly width: number | undefined;
}

const gap = "  ";

/** Text that others chose, as a part of one line: what would begin another, or leave the column, is replaced. */
export const oneLine = (text: string): string => text.replace(/[\t\n\v\f\r\u0085\u2028\u2029]/g, "\ufffd");

/** Columns as wide as their widest cell, nothing after the last. */
export function table(texts: readonly (readonly string[])[], layout: TableLayout): string {
  const rows = texts.map((row) => row.map(oneLine));
  const { elastic, expendable = [], cut = "middle", width } = layout;
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => columns(row[column] ?? "")))) ?? [];
  const shown = new Set(widths.keys());
  const excess = (): number => {
    const total = [...shown].reduce((sum, column) => sum + (widths[column] ?? 0), gap.length * (shown.size - 1));
    return total - (width ?? total);
  };
  const least = (column: number): number => Math.min(widths[column] ?? 0, leastElastic);
  const giving = (): number =>
    elastic.reduce((sum, column) => sum + (shown.has(column) ? (widths[column] ?? 0) - least(column) : 0), 0);
  for (const column of expendable) if (excess() > giving()) shown.delete(column);
  for (const column of elastic) {
    const wanted = widths[column] ?? 0;
    if (excess() > 0) widths[column] = Math.max(least(column), wanted - excess());
  }
  return rows
    .map((row) => {
      const cells = [...shown].map((column) => fitted(row[column] ?? "", widths[column] ?? 0, cut));
      return cells.join(gap).trimEnd();
    })
    .join("\n");
}

const wide =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}\uff01-\uff60]/u;
const nothing = /[\p{Mn}\p{Me}\p{Cf}]/u;

/** How many columns of a terminal a text takes. */
const columns = (text: string): number => [...text].reduce((sum, character) => sum + columnsOf(character), 0);

const columnsOf = (character: string): number => {
  if (nothing.test(character)) return 0;
  return wide.test(character) ? 2 : 1;
};

/** As many columns as there are, by cutting or by blanks. */
function fitted(text: string, width: number, cut: "middle" | "end"): string {
  const whole = columns(text);
  if (whole <= width) return text + " ".repeat(width - whole);
  const head = beginning([...text], cut === "end" ? width - 1 : Math.floor((width - 1) / 2));
  const tail = beginning([...text].reverse(), width - 1 - columns(head));
  const short = cut === "end" ? `${head}…` : `${head}…${[...tail].reverse().join("")}`;
  return short + " ".repeat(width - columns(short));
}

/** As much as fits. */
const beginning = (characters: readonly string[], width: number): string => {
  let left = width;
  const end = characters.findIndex((character) => {
    left -= columnsOf(character);
    return left < 0;
  });
  return characters.slice(0, end === -1 ? characters.length : end).join("");
};
