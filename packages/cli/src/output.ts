/** Where a command writes: results to stdout, everything else to stderr. */
export interface Output {
  readonly json: boolean;
  /** Columns of the terminal that shows results; undefined where none does. */
  readonly width: number | undefined;
  line(text: string): void;
  errorLine(text: string): void;
  /** The value as JSON where that was asked for, else the text. */
  result(value: unknown, text: string): void;
  /** Bytes of a command, as they are. Resolves when a slow reader has taken them. */
  raw(stream: "stdout" | "stderr", data: string | Uint8Array): Promise<void>;
}

// C0 and C1 control characters but tab and newline: a sandbox's text must not drive the terminal of whoever lists it.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

export function createOutput(json: boolean): Output {
  const line = (text: string) => void process.stdout.write(`${text}\n`);
  const raw = (stream: "stdout" | "stderr", data: string | Uint8Array): Promise<void> =>
    new Promise((resolve, reject) => {
      process[stream].write(data, (error) => (error ? reject(error) : resolve()));
    });
  return {
    json,
    width: process.stdout.isTTY ? process.stdout.columns : undefined,
    line,
    errorLine: (text) => void process.stderr.write(`${text.replace(controls, "\ufffd")}\n`),
    result: (value, text) => line(json ? JSON.stringify(value) : text.replace(controls, "\ufffd")),
    raw,
  };
}

/** Fewer characters than this tell nothing of a name. */
const leastElastic = 12;

export interface TableLayout {
  /** The column that gives way in a narrow terminal. */
  readonly elastic: number;
  /** Characters of a line; undefined for no limit. */
  readonly width: number | undefined;
}

const gap = "  ";

/** Columns as wide as their widest cell, nothing after the last. */
export function table(rows: readonly (readonly string[])[], { elastic, width }: TableLayout): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  const total = widths.reduce((sum, each) => sum + each, gap.length * (widths.length - 1));
  const wanted = widths[elastic] ?? 0;
  if (width !== undefined && total > width) {
    widths[elastic] = Math.min(wanted, Math.max(leastElastic, wanted - (total - width)));
  }
  return rows
    .map((row) => {
      const cells = row.map((cell, column) => shorten(cell, widths[column] ?? 0).padEnd(widths[column] ?? 0));
      return cells.join(gap).trimEnd();
    })
    .join("\n");
}

/** Cut in the middle: a reference tells by its registry and by its tag. */
function shorten(text: string, width: number): string {
  if (text.length <= width) return text;
  const head = Math.floor((width - 1) / 2);
  return `${text.slice(0, head)}…${text.slice(text.length - (width - 1 - head))}`;
}
