/** Where a command writes: results to stdout, everything else to stderr. */
export interface Output {
  readonly json: boolean;
  line(text: string): void;
  errorLine(text: string): void;
  /** The value as JSON where that was asked for, else the text. */
  result(value: unknown, text: string): void;
  /** Bytes of a command, as they are. Resolves when a slow reader has taken them. */
  raw(stream: "stdout" | "stderr", data: string): Promise<void>;
}

// C0 and C1 control characters but tab and newline: a sandbox's text must not drive the terminal of whoever lists it.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

export function createOutput(json: boolean): Output {
  const line = (text: string) => void process.stdout.write(`${text}\n`);
  return {
    json,
    line,
    errorLine: (text) => void process.stderr.write(`${text.replace(controls, "\ufffd")}\n`),
    result: (value, text) => line(json ? JSON.stringify(value) : text.replace(controls, "\ufffd")),
    raw: (stream, data) =>
      new Promise((resolve, reject) => {
        process[stream].write(data, (error) => (error ? reject(error) : resolve()));
      }),
  };
}

/** Columns as wide as their widest cell, two spaces apart, nothing after the last. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows
    .map((row) =>
      row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join("  "),
    )
    .join("\n");
}
