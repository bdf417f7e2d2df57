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

/** Without characters that would drive a terminal. */
export const printable = (text: string): string => text.replace(controls, "\ufffd");

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
    errorLine: (text) => void process.stderr.write(`${printable(text)}\n`),
    result: (value, text) => line(json ? JSON.stringify(value) : printable(text)),
    raw,
  };
}
